package secret

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: O43
func TestRedactor(t *testing.T) {
	t.Parallel()
	var r Redactor
	require.Equal(t, "token xoxb-1234", r.Redact("token xoxb-1234"))
	r.Keep("a", "xoxb-1234", "xoxb-1234-longer", "short", "", `with "quotes" and spaces/`)
	r.Keep("b", "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n")
	for text, want := range map[string]string{
		"":                                         "",
		"token xoxb-1234":                          "token ***",
		"xoxb-1234-longer,xoxb-1234":               "***,***",
		"short words stay":                         "short words stay",
		`{"t":"with \"quotes\" and spaces/"}`:      `{"t":"***"}`,
		"?t=with+%22quotes%22+and+spaces%2F&x=1":   "?t=***&x=1",
		"/with%20%22quotes%22%20and%20spaces%2F/x": "/***/x",
		"MIIEvQIBADANBg":                           "***",
		"line kqhkiG9w0BAQEF of it":                "line *** of it",
		"-----BEGIN KEY-----":                      "-----BEGIN KEY-----",
		`-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n`: "***",
	} {
		require.Equal(t, want, r.Redact(text))
	}
	r.Keep("a", "rotated-token")
	require.Equal(t, "*** ***", r.Redact("xoxb-1234 rotated-token"), "the one before may still be written")
	r.Keep("a", "rotated-token")
	require.Equal(t, "***", r.Redact("xoxb-1234"), "the same again changes nothing")
	r.Keep("a", "rotated-again")
	require.Equal(t, "xoxb-1234 *** ***", r.Redact("xoxb-1234 rotated-token rotated-again"))
	r.Forget("a")
	require.Equal(t, "rotated-again", r.Redact("rotated-again"))
}

func TestRedactorIsUsedByMany(t *testing.T) {
	t.Parallel()
	var r Redactor
	r.Keep("all", "the-secret")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				r.Keep(fmt.Sprint(i), fmt.Sprintf("secret-%d-%d", i, j))
				if got := r.Redact(fmt.Sprintf("the-secret secret-%d-%d", i, j)); got != "*** ***" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkRedact(b *testing.B) {
	var r Redactor
	for i := range 1000 {
		r.Keep(fmt.Sprint(i), fmt.Sprintf("xoxb-%032d", i))
	}
	line := strings.Repeat("a line of a log as plugins write them ", 6)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_ = r.Redact(line)
	}
}
