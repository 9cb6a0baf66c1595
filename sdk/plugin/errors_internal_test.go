package plugin

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// Who ends a call gets the end of its context, also where the plugin heard of it first by
// an ask that was turned down and answered with that.
func TestAnEndedCallIsNoFailureOfThePlugin(t *testing.T) {
	t.Parallel()
	st, err := status.New(codes.Aborted, "").WithDetails(&pluginv1.Error{
		Class: pluginv1.ErrorClass_ERROR_CLASS_TRANSIENT, Code: codeCallEnded, Message: "the call has ended",
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var e *sdk.Error
	require.ErrorAs(t, errorOf(ctx, st.Err()), &e, "while the call goes on it is an error like others")
	cancel()
	require.ErrorIs(t, errorOf(ctx, st.Err()), context.Canceled)
}
