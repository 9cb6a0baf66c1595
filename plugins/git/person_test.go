package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func TestCoAuthors(t *testing.T) {
	t.Parallel()
	ann := newPerson("Ann", "Ann@Example.org")
	cases := map[string]struct {
		message string
		want    []person
	}{
		"None":            {"Subject\n\nBody of co-authored work", nil},
		"One":             {"S\n\nCo-authored-by: Bo <Bo@Example.org>", []person{{"Bo", "bo@example.org"}}},
		"Several":         {"S\n\nCo-authored-by: Bo <bo@x.org>\nCo-authored-by: Cy <cy@x.org>\n", []person{{"Bo", "bo@x.org"}, {"Cy", "cy@x.org"}}},
		"AnyCase":         {"S\n\nco-AUTHORED-by:Bo<bo@x.org>", []person{{"Bo", "bo@x.org"}}},
		"SpaceBefore":     {"S\n\nCo-authored-by : Bo <bo@x.org>", []person{{"Bo", "bo@x.org"}}},
		"EmailAlone":      {"S\n\nCo-authored-by: bo@x.org", []person{{"", "bo@x.org"}}},
		"BracketsAlone":   {"S\n\nCo-authored-by: <bo@x.org>", []person{{"", "bo@x.org"}}},
		"NoBrackets":      {"S\n\nCo-authored-by: Bo van Dam bo@x.org", []person{{"Bo van Dam", "bo@x.org"}}},
		"Parentheses":     {"S\n\nCo-authored-by: Bo (bo@x.org)", []person{{"Bo", "bo@x.org"}}},
		"NameAlone":       {"S\n\nCo-authored-by: Bo", []person{{"Bo", ""}}},
		"UnclosedBracket": {"S\n\nCo-authored-by: Bo <bo@x.org", []person{{"Bo", "bo@x.org"}}},
		"Quotes":          {"S\n\nCo-authored-by: \"Bo\" <bo@x.org>", []person{{"Bo", "bo@x.org"}}},
		"Empty":           {"S\n\nCo-authored-by:   \nCo-authored-by: <>", nil},
		"Duplicates":      {"S\n\nCo-authored-by: Bo <bo@x.org>\nCo-authored-by: Bob <BO@X.ORG>", []person{{"Bo", "bo@x.org"}}},
		"AuthorAgain":     {"S\n\nCo-authored-by: Ann <ANN@example.ORG>", nil},
		"InTheMiddle":     {"S\n\n* first\n\nCo-authored-by: Bo <bo@x.org>\n\n* second\n\nmore", []person{{"Bo", "bo@x.org"}}},
		"CRLF":            {"S\r\n\r\nCo-authored-by: Bo <bo@x.org>\r\n", []person{{"Bo", "bo@x.org"}}},
		"NotInSubject":    {"Co-authored-by: Bo <bo@x.org>", nil},
		"ControlBytes":    {"S\n\nCo-authored-by: B\x1b[31mo <bo@x.org>", []person{{"B[31mo", "bo@x.org"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, coAuthorsOf(c.message, ann))
		})
	}
}

func TestCoAuthorsAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("S\n\n")
	for i := range 1000 {
		b.WriteString("Co-authored-by: x" + strings.Repeat("y", i) + "@x.org\n")
	}
	require.Len(t, coAuthorsOf(b.String(), person{}), coAuthors)
}

func TestMember(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0).UTC()
	require.Equal(t, &sdk.Member{
		Version: "2023-11-14T22:13:20Z", DisplayName: "Ann", Emails: []string{"ann@example.org"},
		Identities: []sdk.Identity{{Platform: "git", Username: "ann@example.org"}},
	}, newPerson("Ann", "<ANN@example.org>").member(at))
	require.Equal(t, &sdk.Member{
		Version: "2023-11-14T22:13:20Z", DisplayName: "Ann Li",
		Identities: []sdk.Identity{{Platform: "git", Username: "ann li"}},
	}, newPerson("Ann Li", "").member(at))
	require.Equal(t, "unknown", newPerson("", "").username())
	require.Equal(t, "ann", newPerson("", "ann@example.org").member(at).DisplayName)
	require.Empty(t, newPerson("root", "localhost").member(at).Emails)
}

func TestText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Müller", decodeText("M\xfcller", "ISO-8859-1"))
	require.Equal(t, "Müller", decodeText("Müller", "ISO-8859-1"))
	require.Equal(t, "M\uFFFDller", decodeText("M\xfcller", ""))
	require.Equal(t, "ab", line("a\x00\x1bb\n", 10))
	require.Equal(t, "a\n\tb", block("\na\n\tb\r\n", 10))
	require.Equal(t, "ä", cut("ää", 3))
	subject, body := splitMessage("\nOne\ntwo  three\n\nBody\n\nmore\n")
	require.Equal(t, "One two three", subject)
	require.Equal(t, "Body\n\nmore", block(body, 100))
}

func TestMomentOfBrokenDates(t *testing.T) {
	t.Parallel()
	good := time.Unix(1_700_000_000, 0).UTC()
	far := time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, good, moment(far, good))
	require.Equal(t, time.Unix(0, 0).UTC(), moment(far, time.Time{}))
}
