package main

import (
	"encoding/json"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

// screenFacts tells what a screen shows, line by line.
func screenFacts(t *table, raw []byte) {
	if len(raw) == 0 {
		return
	}
	t.section("Screen")
	var s sdk.Screen
	if json.Unmarshal(raw, &s) != nil {
		t.line("  " + string(raw)) // a plugin may answer anything
		return
	}
	t.fact("  title", s.Title)
	for _, c := range s.Components {
		t.fact("  "+string(c.Type), componentText(c))
	}
}

// componentText tells a component in a line.
func componentText(c sdk.Component) string {
	var parts []string
	add := func(texts ...string) {
		if text := strings.Join(texts, ""); text != "" {
			parts = append(parts, text)
		}
	}
	switch c.Type {
	case sdk.ComponentText, sdk.ComponentPhone, sdk.ComponentEmail, sdk.ComponentLink:
		add(c.Text)
		add(c.URL)
	case sdk.ComponentList:
		for _, i := range c.Items {
			add(strings.TrimSpace(i.Label + " " + i.Text))
		}
	case sdk.ComponentTable:
		add(strings.Join(c.Columns, " | "))
		for _, row := range c.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = cell.Text
			}
			add(strings.Join(cells, " | "))
		}
	case sdk.ComponentForm:
		add(string(c.Action))
		for _, f := range c.Fields {
			if f.Required {
				add(f.Name, " (needed)")
				continue
			}
			add(f.Name)
		}
	case sdk.ComponentButton:
		add(string(c.Action))
	}
	text := strings.ReplaceAll(strings.Join(parts, ", "), "\n", " ")
	if c.Label == "" {
		return text
	}
	return c.Label + ": " + text
}
