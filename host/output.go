package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"
)

// print writes the result: the message as one document, or a table for people.
func (c *cli) print(m proto.Message, table func(*table)) error {
	if c.output == "table" {
		return c.printTable(table)
	}
	return c.printValue(document(m))
}

// printList is print for a message whose field of that name is the list that
// jsonl prints a line each of.
func (c *cli) printList(m proto.Message, field string, table func(*table)) error {
	if c.output != "jsonl" {
		return c.print(m, table)
	}
	for _, member := range document(m) {
		items, ok := member.value.([]any)
		if member.name != field || !ok {
			continue
		}
		for _, item := range items {
			if err := c.printValue(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// printItem writes one of an endless list of results: a line of a table, a line
// of JSON, or a YAML document.
func (c *cli) printItem(m proto.Message, line string) error {
	switch c.output {
	case "table":
		_, err := fmt.Fprintln(c.stdout, line)
		return err
	case "yaml":
		if _, err := fmt.Fprintln(c.stdout, "---"); err != nil {
			return err
		}
		return c.printValue(document(m))
	default:
		return writeJSON(c.stdout, document(m), "")
	}
}

// printValue writes v as the one document that -o asks for; as JSON when it asks
// for a table, which only a caller that has one can print.
func (c *cli) printValue(v any) error {
	switch c.output {
	case "jsonl":
		return writeJSON(c.stdout, v, "")
	case "yaml":
		return writeYAML(c.stdout, v)
	default:
		return writeJSON(c.stdout, v, "  ")
	}
}

func (c *cli) printTable(fill func(*table)) error {
	t := newTable(c)
	fill(t)
	return t.flush(c.stdout)
}

func writeJSON(w io.Writer, v any, indent string) error {
	text, err := marshal(v)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if indent == "" {
		err = json.Compact(&buf, text)
	} else {
		err = json.Indent(&buf, text, "", indent)
	}
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	buf.WriteByte('\n')
	_, err = w.Write(buf.Bytes())
	return err
}

// writeYAML writes the JSON of v as YAML: the same names in the same order.
func writeYAML(w io.Writer, v any) error {
	text, err := marshal(v)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	blockStyle(&node)
	out, err := yaml.Marshal(&node)
	if err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	_, err = w.Write(out)
	return err
}

// blockStyle drops the braces and quotes that JSON brought; the encoder puts
// quotes back where a word would read as something else.
func blockStyle(n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		n.Style &^= yaml.DoubleQuotedStyle
	case len(n.Content) > 0:
		n.Style &^= yaml.FlowStyle
	}
	for _, child := range n.Content {
		blockStyle(child)
	}
}
