package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

// asMain makes the test's binary the plugin itself.
const asMain = "JACKFIELD_TEST_HELLO"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func options() sdktest.Options {
	return sdktest.Options{
		Settings:    []byte(`{"name":"world","count":2,"token":"t0p-s3cret"}`),
		BadSettings: []byte(`{"names":"world"}`),
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	require.NoError(t, sdktest.Exercise(t.Context(), hello{}, options()))
}

func TestConformanceOverTheWire(t *testing.T) {
	t.Parallel()
	client, stop, err := plugin.OverWire(t.Context(), hello{})
	require.NoError(t, err)
	t.Cleanup(stop)
	require.NoError(t, sdktest.Exercise(t.Context(), client, options()))
}

func TestGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	opts := options()
	first, err := sdktest.Run(t.Context(), hello{}, opts)
	require.NoError(t, err)
	require.Equal(t, []sdk.Record{
		{Kind: "greeting", ID: "0", Data: []byte(`{"text":"Hello world, this is greeting 1"}`)},
		{Kind: "greeting", ID: "1", Data: []byte(`{"text":"Hello world, this is greeting 2"}`)},
	}, first.Records)

	opts.Cursors = first.Cursors
	second, err := sdktest.Run(t.Context(), hello{}, opts)
	require.NoError(t, err)
	require.Equal(t, "2", second.Records[0].ID)
	require.Equal(t, map[string][]byte{"greetings/all": []byte("4")}, second.Cursors)
}

// rows: H01
func TestEndsWhenItsParentDies(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh, to be the parent")
	}
	shake := plugin.Handshake()
	parent := exec.CommandContext(t.Context(), sh, "-c", `"$0" </dev/null & wait`, os.Args[0])
	parent.Env = append(os.Environ(), asMain+"=1", shake.MagicCookieKey+"="+shake.MagicCookieValue)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	br := bufio.NewReader(out)
	line, err := br.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "|grpc|")
	require.NoError(t, parent.Process.Kill())

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, br) // ends with the last process that holds it
		_ = parent.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		require.Fail(t, "the plugin outlives its host")
	}
}
