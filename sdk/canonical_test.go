package sdk_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: K05
func TestCanonical(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"Sorted":         {`{"b":1,"a":2}`, `{"a":2,"b":1}`},
		"Nested":         {`{"z":{"b":[{"y":1,"x":2}],"a":{}},"a":[]}`, `{"a":[],"z":{"a":{},"b":[{"x":2,"y":1}]}}`},
		"Prefix":         {`{"ab":1,"a":2}`, `{"a":2,"ab":1}`},
		"LastWins":       {`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		"Spaces":         {" { \"a\" : [ 1 , 2 ] , \"b\" : { } }\n", `{"a":[1,2],"b":{}}`},
		"Numbers":        {`[1.0,-0,1e5,1E+05,12345678901234567890.123]`, `[1.0,-0,1e5,1E+05,12345678901234567890.123]`},
		"HTML":           {`"\u003ca href=\u0022x\u0022\u003e\u0026"`, `"<a href=\"x\">&"`},
		"Slash":          {`"\/"`, `"/"`},
		"Unicode":        {`"\u00e9\u2028\ud83d\ude00"`, "\"\u00e9\u2028\U0001F600\""},
		"LoneSurrogate":  {`"\ud800x\udc00"`, "\"\uFFFDx\uFFFD\""},
		"HighThenOther":  {`"\ud800\u0041"`, "\"\uFFFDA\""},
		"Control":        {`"\u0000\u0009\u001F\u007f"`, "\"\\u0000\\t\\u001f\u007f\""},
		"InvalidUTF8":    {"\"a\xffb\"", "\"a\uFFFDb\""},
		"Scalars":        {`[true,false,null,"",0]`, `[true,false,null,"",0]`},
		"EscapedName":    {`{"\u0062":1,"a":2}`, `{"a":2,"b":1}`},
		"SameNameTwoWay": {`{"a":1,"\u0061":2}`, `{"a":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := sdk.Canonical([]byte(c.in))
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		``, ` `, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `[1,]`, `[`, `[1`, `nul`, `01`, `1.`, `.5`, `1e`, `-`, `+1`,
		`"`, `"\x"`, `"\u12"`, "\"\n\"", `{} {}`, `{"a":1 "b":2}`, `{a:1}`, "\xef\xbb\xbf{}", `[1 2]`, `"\`, `{"a":1]`, `NaN`,
		strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		_, err := sdk.Canonical([]byte(in))
		require.Error(t, err, "%.20q", in)
	}
}

func TestCanonicalKeepsWhatIsCanonical(t *testing.T) {
	t.Parallel()
	in := canonicalRecord(t)
	got, err := sdk.Canonical(in)
	require.NoError(t, err)
	require.Same(t, &in[0], &got[0])
}

// Strings are read eight bytes at a time: whatever stands at whichever place must
// be seen.
func TestCanonicalSeesEachByte(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 20 {
			in := []byte(`"` + strings.Repeat("a", at) + string([]byte{byte(c)}) + strings.Repeat("z", 20-at) + `"`)
			got, err := sdk.Canonical(in)
			require.Equal(t, json.Valid(in), err == nil, "%q: %v", in, err)
			if err == nil {
				require.Equal(t, decode(t, in), decode(t, got))
				require.True(t, utf8.Valid(got), "%q", got)
			}
		}
	}
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	got, err := sdk.Marshal(struct {
		Z string         `json:"z"`
		A map[string]any `json:"a"`
	}{"<b>&", map[string]any{"y": 1, "x": json.Number("1.50")}})
	require.NoError(t, err)
	want := `{"a":{"x":1.50,"y":1},"z":"<b>&"}` // the same bytes, not only the same JSON
	require.Equal(t, want, string(got))
	_, err = sdk.Marshal(func() {})
	require.Error(t, err)
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":1,"a":[true,null,"\u00e9\ud83d"]}`, `[-0.5e+7]`, `"\/\b"`, `{"a":1,"a":2}`, ` 1 `, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := sdk.Canonical(in)
		require.Equal(t, json.Valid(in), err == nil, "%q: %v", in, err)
		if err != nil {
			return
		}
		again, err := sdk.Canonical(got)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
		require.True(t, bytes.Equal(got, again) && (len(got) == 0 || &got[0] == &again[0]), "the result is not seen as canonical: %q", got)
		require.Equal(t, decode(t, in), decode(t, got))
	})
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v))
	return v
}

// canonicalRecord has about 300 bytes.
func canonicalRecord(tb testing.TB) []byte {
	tb.Helper()
	b, err := sdk.Marshal(map[string]any{
		"author": "U02ABCDEF", "channel": "C01234567", "edited": false, "reactions": []any{map[string]any{"count": 3, "name": "tada"}},
		"text": strings.Repeat("words of a message, ", 9), "ts": "1718000000.000100", "thread_ts": nil, "score": 6,
	})
	require.NoError(tb, err)
	return b
}

func BenchmarkCanonical(b *testing.B) {
	in := canonicalRecord(b)
	shuffled := append([]byte(`{"zz":1,`), in[1:]...)
	for name, data := range map[string][]byte{"AsIs": in, "Rewrite": shuffled} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sdk.Canonical(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
