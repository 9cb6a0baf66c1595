package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// rows: H05, H08
func TestParseLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw     string
		level   hclog.Level
		message string
		fields  map[string]string
	}{
		"HCLog": {
			`{"@level":"warn","@message":"slow","@module":"slack","@timestamp":"2026-11-22T01:02:03.000000Z","n":12345678901234567890,"ok":true,"tenant":"acme","list":[1,"a"],"nil":null}`,
			hclog.Warn, "slow",
			map[string]string{"module": "slack", "n": "12345678901234567890", "ok": "true", "tenant": "acme", "list": `[1,"a"]`, "nil": "null"},
		},
		"MessageOfAnotherType": {`{"@message":1}`, hclog.Debug, `{"@message":1}`, nil},
		"LevelOfAnotherType":   {`{"@level":30,"@message":"m"}`, hclog.Info, "m", nil},
		"UnknownLevel":         {`{"@level":"loud","@message":"m"}`, hclog.Info, "m", nil},
		"OffIsNoLevel":         {`{"@level":"off","@message":"m"}`, hclog.Info, "m", nil},
		"TwoValues":            {`{"@message":"a"}{"@message":"b"}`, hclog.Debug, `{"@message":"a"}{"@message":"b"}`, nil},
		"Text":                 {"hello", hclog.Debug, "hello", nil},
		"Prefix":               {"[ERROR] bad", hclog.Error, "[ERROR] bad", nil},
		"Empty":                {"", hclog.Debug, "", nil},
		"Injection":            {`{"@message":"a\n2026 [ERROR] forged\u001b[31m"}`, hclog.Info, "a 2026 [ERROR] forged\ufffd[31m", nil},
		"BadUTF8":              {"a\xffb", hclog.Debug, "a\ufffdb", nil},
	} {
		level, message, fields := parseLine([]byte(c.raw), 0)
		require.Equal(t, c.level, level, name)
		require.Equal(t, c.message, message, name)
		require.Equal(t, c.fields, fields, name)
	}
	level, message, _ := parseLine([]byte(`{"@level":"error","@message":"very lo`), 77)
	require.Equal(t, hclog.Error, level)
	require.Equal(t, "very lo ... (77 bytes cut)", message)
}

// rows: H05
func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"@level":"info","@message":"m","@timestamp":5,"a":{"b":[1]}}`), 0)
	f.Add([]byte(`{"@level":`), 1)
	for _, line := range []string{ // each ended a host that trusted the types of what it read
		"panic: x", `{"@message":5}`, `{"@message":null,"@level":"info"}`, `{"@level":{},"@message":[]}`, `{"@timestamp":"never","@message":"m"}`,
		`{"@message":"m","@module":7}`, `{"@message":"m","@message":5}`, `{`, `{}`, `{"":""}`, "{\"@message\":\"\xff\"}", `{"@message":"m","n":1e999999}`,
	} {
		f.Add([]byte(line), 0)
		f.Add([]byte(line), 7)
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		level, message, fields := parseLine(raw, cut)
		require.True(t, level >= hclog.Trace && level <= hclog.Error, "%d", level)
		require.LessOrEqual(t, len(message), maxLine*3+64)
		require.LessOrEqual(t, len(fields), maxFields)
		for key, value := range fields {
			require.True(t, fit(key) && fit(value))
		}
		require.True(t, fit(message))
	})
}

func fit(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) < 0
}

// rows: H07
func TestReadLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxLine+17)
	text := "one\r\n\ntwo\n" + long + "\nthree"
	for name, r := range map[string]io.Reader{"Whole": strings.NewReader(text), "ByteWise": iotest.OneByteReader(strings.NewReader(text))} {
		var got []string
		readLines(r, func(line []byte, cut int) {
			got = append(got, fmt.Sprint(len(line), " ", cut, " ", string(line[:min(5, len(line))])))
		})
		require.Equal(t, []string{"3 0 one", "0 0 ", "3 0 two", fmt.Sprint(maxLine, " ", maxLine+18, " xxxxx"), "5 0 three"}, got, name)
	}
	var got []string
	w := &lineWriter{each: func(line []byte, cut int) { got = append(got, fmt.Sprint(len(line), " ", cut)) }}
	for chunk := range bytes.SplitAfterSeq([]byte(text+"\n"), []byte("x")) {
		n, err := w.Write(chunk)
		require.NoError(t, err)
		require.Equal(t, len(chunk), n)
	}
	require.Equal(t, []string{"3 0", "0 0", "3 0", fmt.Sprint(maxLine, " ", maxLine+17), "5 0"}, got)
}

// rows: H09, P06, I11
func TestFloodIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	opts := Options{Now: func() time.Time { return now }}.withDefaults()
	book := newLogbook()
	out := newOutput(Binary{Name: "slack"}, opts, book)
	for n := range lineBurst + 70 { // by either way the share is the same
		if n%2 == 0 {
			out.say(hclog.Info, "line", nil)
		} else {
			out.stderr([]byte("line"), 0)
		}
	}
	require.Equal(t, "line", book.last(1)[0].Message)
	now = now.Add(100 * time.Millisecond)
	out.stderr([]byte("after"), 0)
	last := book.last(2)
	require.Equal(t, "dropped 70 lines: more than 500 a second", last[0].Message)
	require.Equal(t, "after", last[1].Message)
	require.Len(t, book.last(keptLines+5), keptLines)
	require.Len(t, out.lastLines(1000), stderrLines)
}

// rows: H10
func TestPanicIsJoined(t *testing.T) {
	t.Parallel()
	book := newLogbook()
	out := newOutput(Binary{Name: "slack"}, Options{}.withDefaults(), book)
	for _, line := range []string{"before", "panic: boom", "", "goroutine 1 [running]:", `{"@message":"of another goroutine"}`, "main.main()"} {
		out.stderr([]byte(line), 0)
	}
	for range maxStack {
		out.stderr([]byte("more of it"), 0)
	}
	out.ended("exited with code 2", []string{"acme/one", "acme/two"})
	lines := book.last(10)
	require.Equal(t, 3, len(lines)) //nolint:testifylint // Len would print them
	require.Equal(t, "panic: boom", lines[2].Message)
	require.Equal(t, "exited with code 2", lines[2].Fields["process"])
	require.Equal(t, "acme/one, acme/two", lines[2].Fields["busy_with"])
	require.True(t, strings.HasPrefix(lines[2].Fields["stack"], "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n"))
	require.Less(t, len(lines[2].Fields["stack"]), maxStack+maxValue)
	require.Equal(t, []string{"panic: boom", ""}, out.lastLines(2))
}

func TestFollow(t *testing.T) {
	t.Parallel()
	book := newLogbook()
	ctx, cancel := context.WithCancel(t.Context())
	lines := book.follow(ctx)
	for i := range followBuffer + 10 { // one who does not read holds up nobody
		book.write(Line{Message: fmt.Sprint(i)})
	}
	require.Equal(t, "0", (<-lines).Message)
	cancel()
	n := 0
	for range lines {
		n++
	}
	require.Equal(t, followBuffer-1, n)
	book.write(Line{})
}
