package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

const canary = "canary-7d20aa"

// rows: O43
func TestValuePrintsNowhere(t *testing.T) {
	t.Parallel()
	type holder struct {
		Token  Value
		hidden Value
		Ptr    *Value
		List   []Value
		Map    map[string]Value
	}
	v := New(canary)
	h := holder{v, v, &v, []Value{v}, map[string]Value{"k": v}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", v, h, &h)
	}
	encoded, err := json.Marshal(h)
	require.NoError(t, err)
	out.Write(encoded)
	text, err := v.MarshalText()
	require.NoError(t, err)
	out.Write(text)
	out.WriteString(v.String() + v.GoString())
	hclog.New(&hclog.LoggerOptions{Output: &out}).Info("hclog", "value", v, "holder", h)
	hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true}).Info("hclog", "value", v, "holder", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("slog", "value", v, "holder", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("slog", "value", v, "holder", h)
	fmt.Fprint(&out, errors.Join(fmt.Errorf("wrap %v", v), fmt.Errorf("wrap %+v", h)))
	require.NotContains(t, out.String(), canary)
	require.NotContains(t, out.String(), fmt.Sprintf("%x", canary))
	require.Contains(t, out.String(), Redacted)
	require.Equal(t, canary, v.Reveal("the test"))
	require.Equal(t, canary, h.hidden.Reveal("the test"))
	require.False(t, v.IsZero())
	require.True(t, Value{}.IsZero())
	require.Empty(t, Value{}.Reveal("nothing"))
}
