package store_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// rows: K05
func TestOverlay(t *testing.T) {
	t.Parallel()
	const image = `{"attributes":{"legs":{"a/b":4,"x":{"deep":1}}},"bio":"<old>","name":"Ann","reach":{"twitter":1}}`
	for name, c := range map[string]struct{ kind, patch, want string }{
		"Nothing":        {"member", `{}`, image},
		"Field":          {"member", `{"bio":"new"}`, `{"attributes":{"legs":{"a/b":4,"x":{"deep":1}}},"bio":"new","name":"Ann","reach":{"twitter":1}}`},
		"ReachByPlace":   {"member", `{"reach":{"github":7}}`, `{"attributes":{"legs":{"a/b":4,"x":{"deep":1}}},"bio":"<old>","name":"Ann","reach":{"github":7,"twitter":1}}`},
		"Attribute":      {"member", `{"attributes":{"legs":{"a/b":6},"eyes":{"x":2}}}`, `{"attributes":{"eyes":{"x":2},"legs":{"a/b":6,"x":{"deep":1}}},"bio":"<old>","name":"Ann","reach":{"twitter":1}}`},
		"AttributeWhole": {"member", `{"attributes":{"legs":{"x":{"other":2}}}}`, `{"attributes":{"legs":{"a/b":4,"x":{"other":2}}},"bio":"<old>","name":"Ann","reach":{"twitter":1}}`},
		"Null":           {"member", `{"bio":null,"reach":null}`, `{"attributes":{"legs":{"a/b":4,"x":{"deep":1}}},"name":"Ann"}`},
		"NullBelow":      {"member", `{"reach":{"twitter":null}}`, `{"attributes":{"legs":{"a/b":4,"x":{"deep":1}}},"bio":"<old>","name":"Ann","reach":{}}`},
		"OtherKind":      {"thing", `{"reach":{"github":7}}`, `{"attributes":{"legs":{"a/b":4,"x":{"deep":1}}},"bio":"<old>","name":"Ann","reach":{"github":7}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := store.Update{Kind: c.kind, ExternalID: "1", Patch: []byte(c.patch)}
			fields, err := u.Fields()
			require.NoError(t, err)
			r := store.Record{Kind: c.kind, ExternalID: "1", Data: []byte(image)}
			got, err := r.Overlay(fields)
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
			require.JSONEq(t, image, string(r.Data))
		})
	}
	for _, patch := range []string{"", "[]", "null", "{", `{"a":1}x`} {
		_, err := (&store.Update{Kind: "member", Patch: []byte(patch)}).Fields()
		require.ErrorIs(t, err, store.ErrInvalid, patch)
	}
	_, err := (&store.Update{Kind: "member", Patch: []byte(`{"reach":{` + strings.Repeat(`"a":1,`, 2) + many(1001) + `}}`)}).Fields()
	require.ErrorIs(t, err, store.ErrLimit)
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + strings.Repeat("x", i+1) + `":1`)
	}
	return b.String()
}
