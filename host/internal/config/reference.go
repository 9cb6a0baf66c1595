package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	maxSecret     = 64 << 10 // of a file that a reference names, without its last line break
	referenceHelp = "references are ${env:NAME} and ${file:PATH}; $${ stands for ${ itself"
)

// expand replaces the references in the string at n. The second answer has what
// they stood for; no problem ever holds it.
func (l *loader) expand(s *source, n *yaml.Node, path string) (value string, referred []string, ok bool) {
	text, ok := n.Value, true
	if !strings.Contains(text, "${") {
		return text, nil, true
	}
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), referred, ok
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		body, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed {
			s.failAt(CodeBadReference, n, referenceHelp, "%s: a reference has no }", path)
			return "", referred, false
		}
		v, found := l.lookup(s, n, path, body)
		referred, ok = append(referred, v), ok && found
		b.WriteString(v)
		text = rest
	}
}

// lookup returns what one reference stands for.
func (l *loader) lookup(s *source, n *yaml.Node, path, body string) (string, bool) {
	scheme, name, _ := strings.Cut(body, ":")
	switch {
	case scheme == "env" && name != "":
		return l.variable(s, n, path, name)
	case scheme == "file" && name != "":
		return l.secretFile(s, n, path, name)
	case scheme == "secret":
		s.failAt(CodeNotSupported, n, "use ${env:NAME} or ${file:PATH}", "%s: ${secret:} is not supported by this version", path)
	default:
		s.failAt(CodeBadReference, n, referenceHelp, "%s: a reference names neither env: nor file:", path)
	}
	return "", false
}

func (l *loader) variable(s *source, n *yaml.Node, path, name string) (string, bool) {
	v, found := l.opts.LookupEnv(name)
	switch {
	case !found:
		s.failAt(CodeMissingSecret, n, "set it for the daemon, or use ${file:PATH}", "%s: the environment has no variable %q", path, short(name))
		return "", false
	case !utf8.ValidString(v) || len(v) > maxSecret:
		s.failAt(CodeBadValue, n, "", "%s: the variable %q is no text in UTF-8 of at most 64 KiB", path, short(name))
		return "", false
	case v == "":
		s.warnAt(CodeEmptySecret, n, "", "%s: the variable %q is empty", path, short(name))
	}
	return v, true
}

func (l *loader) secretFile(s *source, n *yaml.Node, path, name string) (string, bool) {
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(s.dir, file)
	}
	text, err := readCapped(file, maxSecret+2)
	v := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.failAt(CodeMissingSecret, n, "relative paths are relative to "+s.path, "%s: the file %q does not exist", path, short(name))
	case errors.Is(err, errTooLarge) || len(v) > maxSecret:
		s.failAt(CodeTooLarge, n, "", "%s: the file %q is larger than 64 KiB", path, short(name))
	case err != nil:
		s.failAt(CodeUnreadable, n, "", "%s: the file %q cannot be read: %v", path, short(name), cause(err))
	case !utf8.ValidString(v):
		s.failAt(CodeBadValue, n, "", "%s: the file %q is no text in UTF-8", path, short(name))
	default:
		if v == "" {
			s.warnAt(CodeEmptySecret, n, "", "%s: the file %q is empty", path, short(name))
		}
		return v, true
	}
	return "", false
}

// path reads a path of the file system: references replaced, relative to the file.
func (l *loader) path(o object, key, otherwise string) string {
	p := otherwise
	if n, ok := o.scalar(key, "a path", "!!str"); ok {
		v, _, ok := l.expand(o.src, n, join(o.path, key))
		if ok && v == "" {
			o.src.failAt(CodeBadValue, n, "", "%s: the path is empty", join(o.path, key))
		}
		if ok && v != "" {
			p = v
		}
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(o.src.dir, p)
	}
	return filepath.Clean(p)
}
