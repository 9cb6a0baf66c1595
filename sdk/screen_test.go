package sdk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func goodScreen() sdk.Screen {
	return sdk.Screen{Title: "Ada", Components: []sdk.Component{
		{Type: sdk.ComponentText, Label: "Notes", Text: "likes tea"},
		{Type: sdk.ComponentLink, Text: "Open", URL: "https://crm.example/c/1"},
		{Type: sdk.ComponentPhone, Text: "+49 30 1"},
		{Type: sdk.ComponentEmail, Text: "ada@crm.example"},
		{Type: sdk.ComponentList, Items: []sdk.ScreenValue{{Label: "City", Text: "Berlin"}}},
		{Type: sdk.ComponentTable, Columns: []string{"a", "b"}, Rows: [][]sdk.ScreenValue{{{Text: "1"}, {Text: "2", URL: "http://crm.example"}}}},
		{Type: sdk.ComponentForm, Action: sdk.ActionTicket, Fields: []sdk.ScreenField{
			{Name: "subject", Required: true}, {Name: "kind", Kind: sdk.FieldSelect, Options: []sdk.ScreenOption{{Value: "a"}}},
		}},
		{Type: sdk.ComponentButton, Label: "Spam", Action: sdk.ActionNote, Values: map[string]string{"text": "spam"}},
	}}
}

// rows: X04
func TestAScreenIsTypedComponentsWithinBounds(t *testing.T) {
	t.Parallel()
	require.NoError(t, goodScreen().Validate())
	for name, c := range map[string]struct {
		spoil func(*sdk.Screen)
		want  string
	}{
		"type":    {func(s *sdk.Screen) { s.Components[0].Type = "html" }, `components[0].type: "html" is none of text, link`},
		"script":  {func(s *sdk.Screen) { s.Components[1].URL = "javascript:alert(1)" }, "components[1].url: an absolute http or https address"},
		"cell":    {func(s *sdk.Screen) { s.Components[5].Rows[0][1].URL = "//evil" }, "components[5].rows[0][1].url"},
		"cells":   {func(s *sdk.Screen) { s.Components[5].Columns = []string{"a"} }, "components[5].rows[0]: 2 are more than 1"},
		"action":  {func(s *sdk.Screen) { s.Components[6].Action = "delete" }, `components[6].action: "delete" is none of`},
		"twice":   {func(s *sdk.Screen) { s.Components[6].Fields[1].Name = "subject" }, `components[6].fields[1].name: "subject"`},
		"kind":    {func(s *sdk.Screen) { s.Components[6].Fields[0].Kind = "file" }, `components[6].fields[0].kind: "file"`},
		"options": {func(s *sdk.Screen) { s.Components[6].Fields[1].Options = nil }, "components[6].fields[1].options"},
		"long":    {func(s *sdk.Screen) { s.Components[0].Text = strings.Repeat("x", sdk.MaxScreenText+1) }, "components[0].text: 8193 bytes"},
		"many":    {func(s *sdk.Screen) { s.Components = make([]sdk.Component, sdk.MaxComponents+1) }, "components: 65 are more than 64"},
		"bytes":   {func(s *sdk.Screen) { s.Title = "a\xff" }, "title: it is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := goodScreen()
			c.spoil(&s)
			require.ErrorContains(t, s.Validate(), c.want)
		})
	}
}

// rows: X04
func TestLinksLeadToTheWebAlone(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://crm.example/a?b=c#d": true, "HTTP://crm.example": true, "http://127.0.0.1:80/": true,
		"javascript:alert(1)": false, "JaVaScRiPt:alert(1)": false, "\tjavascript:alert(1)": false, "java\nscript:alert(1)": false,
		"data:text/html,x": false, "vbscript:x": false, "//evil.example": false, "/path": false, "": false, "https:": false, "https:///x": false,
		"https://crm.example@evil.example/": false, "file:///etc/passwd": false, "blob:https://x/1": false, "\x01https://x": false,
	} {
		require.Equal(t, want, sdk.WebAddress(address), "%q", address)
	}
}
