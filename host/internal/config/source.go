package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// The caps of a configuration file.
const (
	maxFile    = 1 << 20
	maxDepth   = 32     // of mappings and lists in each other, aliases followed
	maxNodes   = 50_000 // after following aliases
	maxAliases = 200
)

// source is one configuration file while it is read, and what is wrong in it.
type source struct {
	path     string   // as shown
	dir      string   // absolute: what relative paths are relative to
	split    []string // see lines
	text     string
	problems Problems
	masks    []mask
	root     *yaml.Node // while the file is read
	sorted   []start    // see starts
	nodes    int        // visited by the decoder, against an alias bomb
}

// readSource reads the file at path, of a folder or, if that is nil, that the operator
// names. The answer is never nil; if the file cannot be read, its problems say so.
func readSource(path string, of *folder) *source {
	s := &source{path: path}
	abs, err := filepath.Abs(path)
	if err != nil {
		s.fail(CodeUnreadable, 0, 0, "", "find file: %v", err)
		return s
	}
	s.dir = filepath.Dir(abs)
	read := readCapped
	if of != nil {
		read = of.read
	}
	text, err := read(path, maxFile)
	switch {
	case errors.Is(err, errTooLarge):
		s.fail(CodeTooLarge, 0, 0, "split it", "the file is larger than 1 MiB")
	case errors.Is(err, fs.ErrNotExist):
		s.fail(CodeMissingFile, 0, 0, "", "the file does not exist")
	case err != nil:
		s.fail(CodeUnreadable, 0, 0, "", "the file cannot be read: %v", cause(err))
	}
	s.take(text)
	return s
}

// textSource is a file that is given as its text.
func textSource(path string, text []byte) *source {
	s := &source{path: path}
	s.take(text)
	return s
}

func (s *source) take(text []byte) {
	s.text = strings.TrimPrefix(string(text), "\ufeff")
	if !utf8.ValidString(s.text) {
		s.fail(CodeSyntax, 0, 0, "", "the file is not text in UTF-8")
	}
}

// lines returns the lines of the file, which are needed if something is wrong in it:
// what ends one for YAML does so here, so that they have the numbers that it gives
// them.
func (s *source) lines() []string {
	if s.split == nil {
		s.split = strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s.text), "\n")
	}
	return s.split
}

// starts returns where the nodes begin, sorted.
func (s *source) starts() []start {
	if s.sorted == nil && s.root != nil {
		s.begin(s.root)
		slices.SortFunc(s.sorted, start.compare)
	}
	return s.sorted
}

func (s *source) begin(n *yaml.Node) {
	s.sorted = append(s.sorted, start{n.Line, n.Column})
	if n.Kind == yaml.AliasNode {
		return
	}
	for _, c := range n.Content {
		s.begin(c)
	}
}

var (
	errTooLarge   = errors.New("too large")
	errNotRegular = errors.New("not a regular file")
)

// readCapped reads a regular file, following links. It does not wait for a pipe.
func readCapped(path string, limit int64) ([]byte, error) {
	return readFile(os.Stat, os.Open, path, limit)
}

func readFile(stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error), path string, limit int64) ([]byte, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	text.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
	_, err = text.ReadFrom(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(text.Len()) > limit {
		return nil, errTooLarge
	}
	return text.Bytes(), nil
}

// cause returns what is wrong with a file without its path, which stands beside
// it already.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// parse returns the root of the document, or nil with a problem.
func (s *source) parse() *yaml.Node {
	if s.failed() {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load([]byte(s.text), &doc); err != nil {
		s.syntax(err)
		return nil
	}
	if len(doc.Content) != 1 {
		s.fail(CodeSyntax, 0, 0, "", "the file is empty")
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		s.fail(CodeSyntax, 0, 0, "", "the file is empty")
		return nil
	}
	s.root = root
	if aliases := count(root); aliases > maxAliases {
		s.fail(CodeTooLarge, 0, 0, "write the values out", "the file has %d aliases; %d are allowed", aliases, maxAliases)
		return nil
	}
	if s.bounded(root, 0) {
		return root
	}
	return nil
}

// count returns the number of aliases.
func count(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		return 1
	}
	sum := 0
	for _, c := range n.Content {
		sum += count(c)
	}
	return sum
}

// bounded walks the document as the decoder will, aliases followed, and stops at
// a cap: a file of a few lines can stand for billions of values, or for itself.
func (s *source) bounded(n *yaml.Node, depth int) bool {
	s.nodes++
	if s.nodes > maxNodes {
		s.fail(CodeTooLarge, n.Line, n.Column, "write the values out", "the file has more than %d values, aliases followed", maxNodes)
		return false
	}
	if depth > maxDepth {
		s.fail(CodeTooLarge, n.Line, n.Column, "", "the file is nested deeper than %d levels", maxDepth)
		return false
	}
	if n.Kind == yaml.AliasNode {
		return s.bounded(n.Alias, depth+1)
	}
	for _, c := range n.Content {
		if !s.bounded(c, depth+1) {
			return false
		}
	}
	return true
}

// syntax tells what the parser found. Its own words may repeat what stands in the
// file, and so may the line; values do not get into either.
func (s *source) syntax(err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		s.fail(CodeSyntax, 0, 0, "", "the file is not YAML")
		return
	}
	message, help := e.Message, ""
	switch {
	case strings.Contains(message, "no documents in stream"):
		message = "the file is empty"
	case strings.Contains(message, "expected single document"):
		message, help = "the file holds several documents", "one document a file, without --- in the middle"
	case strings.Contains(message, "unknown anchor"):
		message, help = "a value that begins with * is an alias, and there is no anchor of its name", "put the value in quotes"
	case strings.Contains(message, "control characters"), strings.Contains(message, "UTF-8"), strings.Contains(message, "octet"):
		message = "the file is not text in UTF-8"
	}
	line, col := e.Mark.Line, e.Mark.Column
	if strings.ContainsAny(message, `'"`) {
		message = unquoted(message)
	}
	if e.ContextMsg != "" {
		message += " " + e.ContextMsg
		if e.ContextMark.Line > 0 && e.ContextMark.Line != line {
			message += fmt.Sprintf(" that began in line %d", e.ContextMark.Line)
		}
	}
	if text := s.line(line) + s.line(e.ContextMark.Line); help == "" && strings.Contains(text, "${") {
		help = `inside { } and [ ] a reference needs quotes: "${env:NAME}"`
	}
	if text := s.line(line); help == "" && strings.HasPrefix(strings.TrimLeft(text, " "), "\t") {
		help = "indent with spaces; YAML does not allow tabs"
	}
	s.maskAll()
	s.fail(CodeSyntax, line, col, help, "%s", message)
}

// unquoted keeps the punctuation that the parser expected and drops any other
// quoted text.
func unquoted(message string) string {
	var b strings.Builder
	for i, part := range strings.Split(message, "'") {
		switch {
		case i%2 == 0:
			b.WriteString(part)
		case len(part) == 1:
			b.WriteString("'" + part + "'")
		default:
			b.WriteString("'...'")
		}
	}
	return b.String()
}

func (s *source) line(n int) string {
	lines := s.lines()
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// rest lets go of the document, once it is read: of a thousand files it is large. What
// is told of a problem needs it.
func (s *source) rest() {
	if len(s.problems) == 0 {
		s.root, s.sorted, s.split = nil, nil, nil
	}
}

func (s *source) failed() bool { return s.problems.Failed() }

// fail adds an error at a place; line 0 is the whole file.
func (s *source) fail(code string, line, col int, help, format string, args ...any) {
	s.add(Problem{Severity: SeverityError, Code: code, Line: line, Col: col, Help: help, Message: fmt.Sprintf(format, args...)})
}

// failAt adds an error at a node.
func (s *source) failAt(code string, n *yaml.Node, help, format string, args ...any) {
	s.fail(code, n.Line, n.Column, help, format, args...)
}

// warnAt adds a warning at a node.
func (s *source) warnAt(code string, n *yaml.Node, help, format string, args ...any) {
	s.add(Problem{Severity: SeverityWarning, Code: code, Line: n.Line, Col: n.Column, Help: help, Message: fmt.Sprintf(format, args...)})
}

func (s *source) add(p Problem) {
	p.File = s.path
	s.problems = append(s.problems, p)
}

// done returns the problems with their lines of source, masked.
func (s *source) done() Problems {
	for i := range s.problems {
		p := &s.problems[i]
		if p.Line > 0 {
			p.Source, p.Caret = s.excerpt(p.Line, p.Col)
		}
	}
	return s.problems.sorted()
}
