package api

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// rows: K20
func TestTokenIsNeeded(t *testing.T) {
	t.Parallel()
	r := serve(t)
	token := r.token()
	for name, c := range map[string]struct {
		headers []string
		want    codes.Code
	}{
		"None":          {nil, codes.Unauthenticated},
		"Empty":         {[]string{"Bearer "}, codes.Unauthenticated},
		"Wrong":         {[]string{"Bearer " + strings.Repeat("0", 64)}, codes.Unauthenticated},
		"Shortened":     {[]string{"Bearer " + token[:63]}, codes.Unauthenticated},
		"Lengthened":    {[]string{"Bearer " + token + "0"}, codes.Unauthenticated},
		"WithoutScheme": {[]string{token}, codes.Unauthenticated},
		"Basic":         {[]string{"Basic " + token}, codes.Unauthenticated},
		"Twice":         {[]string{"Bearer " + token, "Bearer " + token}, codes.Unauthenticated},
		"Right":         {[]string{"Bearer " + token}, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": c.headers})
			conn := r.dial()
			_, err := hostv1.NewStatusServiceClient(conn).GetStatus(ctx, &hostv1.GetStatusRequest{})
			require.Equal(t, c.want, status.Code(err), "unary: %v", err)
			stream, err := hostv1.NewPluginServiceClient(conn).StreamPluginLogs(ctx, &hostv1.StreamPluginLogsRequest{Name: "git"})
			require.NoError(t, err)
			_, err = stream.Recv()
			if c.want == codes.OK {
				require.ErrorContains(t, err, "EOF", "a plugin without logs")
				return
			}
			require.Equal(t, c.want, status.Code(err), "stream: %v", err)
			require.NotContains(t, err.Error(), token)
		})
	}
}

// rows: K20
func TestPluginsProcessesAreRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who is at the other end")
	}
	var asked atomic.Int64
	r := serve(t, func(o *Options) {
		o.Refuse = func(pid int) bool { asked.Store(int64(pid)); return true }
	})
	_, err := hostv1.NewStatusServiceClient(r.dial()).GetStatus(r.ctx(), &hostv1.GetStatusRequest{})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "although it has the token")
	require.Equal(t, "denied", info(t, err).GetCode())
	require.Equal(t, int64(os.Getpid()), asked.Load())
	require.Contains(t, r.log.String(), "refused a plugin's process")
}

// rows: K20
func TestDescends(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells of descendants")
	}
	ctx, cancel := context.WithCancel(t.Context())
	// A child of a child; the name of neither says anything.
	cmd := exec.CommandContext(ctx, "sh", "-c", "sleep 60 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	line := make([]byte, 32)
	n, err := out.Read(line)
	require.NoError(t, err)
	grandchild := atoi(t, strings.TrimSpace(string(line[:n])))
	t.Cleanup(func() {
		if p, err := os.FindProcess(grandchild); err == nil {
			_ = p.Kill()
		}
	})

	self := Descends(func() []int { return []int{os.Getpid()} })
	child := Descends(func() []int { return []int{1 << 22, cmd.Process.Pid} })
	require.True(t, self(grandchild))
	require.True(t, child(grandchild))
	require.True(t, child(cmd.Process.Pid), "itself too")
	require.False(t, child(os.Getpid()))
	require.False(t, child(1))
	require.True(t, child(1<<22+1), "a process that there is not passed its connection on")
}
