package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (d *fakeDaemon) RetryStreams(_ context.Context, req *hostv1.RetryStreamsRequest) (*hostv1.RetryStreamsResponse, error) {
	return d.retry(req), nil
}

// The next page of what failed waits until few enough streams are open; what asks
// how many there are tries nothing again.
//
// rows: C38
func TestARetryOfManyWaitsWhileManyAreOpen(t *testing.T) {
	t.Parallel()
	var asked []string
	open := int64(1002)
	d := &fakeDaemon{retry: func(req *hostv1.RetryStreamsRequest) *hostv1.RetryStreamsResponse {
		asked = append(asked, req.GetPlugin()+" "+req.GetPageToken())
		switch req.GetPageToken() {
		case "":
			return &hostv1.RetryStreamsResponse{Retried: 100, Open: open, Next: "100"}
		case "100":
			return &hostv1.RetryStreamsResponse{Retried: 7, Refused: 1, Reason: "run 3 is cancelled", Open: open}
		default:
			open--
			return &hostv1.RetryStreamsResponse{Open: open}
		}
	}}
	s := startDaemon(t, d)
	require.Equal(t, exitDone, s.run("stream", "retry", "--plugin", "slack", "--most-open", "1000"), s.stderr)
	require.Equal(t, []string{"slack ", "slack " + lastPage, "slack " + lastPage, "slack 100"}, asked)
	require.Contains(t, s.stdout, "107 streams tried again")
	require.Contains(t, s.stderr, "100 tried again so far; waiting, 1,002 are open")
}
