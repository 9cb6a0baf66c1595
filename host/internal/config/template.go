package config

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/store"
)

// TemplateFault is one thing that is wrong in a template that can be read, at the
// place of a key such as endpoints[2].url.
type TemplateFault struct {
	Path    string
	Message string
	Help    string
	Offset  int // in the text at Path, in bytes
}

// TemplateFile is one file of the templates directory.
type TemplateFile struct {
	Path     string         `json:"path"`
	Name     string         `json:"name"` // empty if the file does not tell
	Good     bool           `json:"good"` // no error: what it declares counts
	Template store.Template `json:"-"`

	src  *source
	name *yaml.Node
}

// LoadTemplates reads the template files of a directory, *.yaml and *.yml. One that
// does not exist has none.
func LoadTemplates(dir string, opts Options) ([]TemplateFile, Problems) {
	return newLoader(opts).templates(dir)
}

// LoadTemplateFile reads one template file.
func LoadTemplateFile(path string, opts Options) (TemplateFile, Problems) {
	f := newLoader(opts).template(path, nil)
	return f, f.src.done()
}

// templates reads all files, and refuses a name that two of them have.
func (l *loader) templates(dir string) (files []TemplateFile, problems Problems) {
	of, err := openFolder(dir, "templates")
	defer of.close()
	var paths, refused []string
	if err == nil {
		paths, refused, problems, err = of.paths()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, Problems{{Severity: SeverityError, Code: CodeUnreadable, File: dir, Message: "the templates directory cannot be read: " + cause(err).Error()}}
	}
	for _, path := range refused {
		files = append(files, TemplateFile{Path: path})
	}
	first, there := map[string]int{}, map[string]bool{}
	for _, f := range l.readTemplates(paths, of) {
		there[f.Path] = true
		if m, ok := l.opts.Plugins(f.Name); ok && f.Name != "" && m.TemplateText != nil {
			f.src.failAt(CodeDuplicateName, f.name, "another name", "template %q is that of the plugin of this name, whose manifest declares it", f.Name)
			f.Good = false
		}
		if j, twice := first[f.Name]; twice && f.Name != "" {
			f.src.failAt(CodeDuplicateName, f.name, "one file a template", "template %q is declared in %s too", f.Name, files[j].Path)
			f.Good = false
		} else if f.Name != "" {
			first[f.Name] = len(files)
		}
		problems = append(problems, f.src.done()...)
		f.src, f.name = nil, nil
		files = append(files, f)
	}
	l.opts.Read.only(there)
	return files, problems.sorted()
}

// keepTemplates remembers what integrations can be of: one whose file is bad is as
// it was when that was good.
func (l *loader) keepTemplates(files []TemplateFile) {
	for _, f := range files {
		if f.Good {
			l.declared[f.Name] = f.Template
		} else if f.Name != "" && l.opts.Template != nil {
			if last, ok := l.opts.Template(f.Name); ok {
				l.declared[f.Name] = last
			}
		}
	}
}

func (l *loader) template(path string, of *folder) TemplateFile {
	return l.templateSource(readSource(path, of))
}

func (l *loader) templateSource(s *source) TemplateFile {
	f, path := TemplateFile{Path: s.path, src: s}, s.path
	sum := sha256.Sum256([]byte(s.text))
	f.Template.File, f.Template.Sum = path, sum[:]
	if last, ok := l.opts.Read.get(path, sum[:]); ok && !s.failed() {
		last.src = s
		return last
	}
	root := s.parse()
	if root != nil {
		l.templateRoot(&f, root)
	}
	if root != nil && !s.failed() && l.opts.CheckTemplate != nil {
		for _, fault := range l.opts.CheckTemplate(f.Template) {
			s.fault(root, fault)
		}
	}
	f.Good = root != nil && !s.failed()
	if f.Good && len(s.problems) == 0 {
		l.opts.Read.put(f)
	}
	return f
}

// fault adds an error where the template has it.
func (s *source) fault(root *yaml.Node, f TemplateFault) {
	n, exact := find(root, f.Path)
	line, col := n.Line, n.Column
	if text := deref(n); exact && f.Offset > 0 && text.Kind == yaml.ScalarNode && !strings.Contains(text.Value, "\n") {
		if text.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			col++
		}
		col += len([]rune(text.Value[:min(f.Offset, len(text.Value))]))
	}
	s.fail(CodeBadTemplate, line, col, f.Help, "%s", f.Message)
}

// find returns the node at a path such as endpoints[2].response.token, or the
// nearest one around it.
func find(root *yaml.Node, path string) (n *yaml.Node, exact bool) {
	n = root
	for path != "" {
		at := deref(n)
		if rest, ok := strings.CutPrefix(path, "["); ok {
			number, tail, _ := strings.Cut(rest, "]")
			i, err := strconv.Atoi(number)
			if err != nil || at.Kind != yaml.SequenceNode || i >= len(at.Content) {
				return n, false
			}
			n, path = at.Content[i], strings.TrimPrefix(tail, ".")
			continue
		}
		next, rest := below1(at, path)
		if next == nil {
			return n, false
		}
		n, path = next, rest
	}
	return n, true
}

// below1 returns the value of the key that a path begins with, which may have dots
// of its own.
func below1(at *yaml.Node, path string) (*yaml.Node, string) {
	if at.Kind != yaml.MappingNode {
		return nil, ""
	}
	for i := 0; i+1 < len(at.Content); i += 2 {
		rest, ok := strings.CutPrefix(path, at.Content[i].Value)
		if ok && (rest == "" || rest[0] == '[' || rest[0] == '.') {
			return at.Content[i+1], strings.TrimPrefix(rest, ".")
		}
	}
	return nil, ""
}

func templateKeys() []string {
	return []string{"name", "label", "type", "description", "region", "info", "iframe", "parameters", "request", "auth", "endpoints"}
}

func (l *loader) templateRoot(f *TemplateFile, root *yaml.Node) {
	o, ok := f.src.object(root, "", templateKeys()...)
	if !ok {
		return
	}
	o.need("name", "type", "endpoints")
	t := &f.Template
	if name, ok := o.name("name"); ok {
		t.Name, f.Name, f.name = name, name, o.at("name")
	}
	t.Label, _ = o.text("label")
	t.Label = cmp.Or(t.Label, t.Name)
	t.Type = store.TemplateType(o.word("type", "", store.TemplateTypes()...))
	t.Description, _ = o.text("description")
	if region, ok := o.text("region"); ok {
		t.Region = region
		if len(region) != 2 || strings.ToUpper(region) != region {
			o.src.failAt(CodeBadValue, o.at("region"), "such as VN or DE", "region: %q is not the code of a country", short(region))
		}
	}
	if o.has("info") {
		t.Info = l.templateInfo(o)
	}
	if o.has("iframe") {
		t.Iframe = o.mapping("iframe")
	}
	o.each("parameters", func(n *yaml.Node, path string) {
		t.Parameters = append(t.Parameters, l.templateParameter(o.src, n, path))
	})
	o.unique("parameters", len(t.Parameters), func(i int) string { return t.Parameters[i].Name })
	if o.has("request") {
		t.Request = l.requestDefaults(o)
	}
	if o.has("auth") {
		t.Auth = l.templateAuth(o.src, o.at("auth"), "auth")
	}
	if o.has("endpoints") {
		t.Endpoints = make([]store.Endpoint, 0, o.length("endpoints")) // no more room than they need
	}
	o.each("endpoints", func(n *yaml.Node, path string) {
		t.Endpoints = append(t.Endpoints, l.templateEndpoint(o.src, n, path))
	})
	o.unique("endpoints", len(t.Endpoints), func(i int) string { return t.Endpoints[i].Name })
}

func (l *loader) templateParameter(s *source, n *yaml.Node, path string) store.TemplateParameter {
	var p store.TemplateParameter
	o, ok := s.object(n, path, "name", "label", "description", "in", "as", "required", "secret", "default")
	if !ok {
		return p
	}
	o.need("name")
	p.Name = o.identifier("name")
	p.Label, _ = o.text("label")
	p.Description, _ = o.text("description")
	p.In = store.Place(o.word("in", "", store.Places()...))
	p.As, _ = o.text("as")
	p.Required = o.boolean("required", false)
	p.Secret = o.boolean("secret", false)
	if o.has("default") {
		p.Default = o.anyText("default")
	}
	if p.Secret && p.Default != "" {
		s.hide(o.at("default"))
		s.failAt(CodeBadValue, o.at("default"), "an integration gives it: fields: {"+p.Name+": ...}", "%s: a secret has no default", join(path, "default"))
	}
	if p.As != "" && p.In == "" {
		s.failAt(CodeBadValue, o.at("as"), "", "%s: it has no place of its own without in", join(path, "as"))
	}
	return p
}

// maxConcurrent is the most requests of an integration to one host at once.
const maxConcurrent = 64

func (l *loader) requestDefaults(o object) store.RequestDefaults {
	var r store.RequestDefaults
	p, ok := o.src.object(o.at("request"), "request", "base_url", "timeout", "headers", "query", "max_concurrent")
	if !ok {
		return r
	}
	r.BaseURL, _ = p.text("base_url")
	r.Timeout = p.wait("timeout")
	r.Headers = p.texts("headers")
	r.Query = p.texts("query")
	r.MaxConcurrent, _ = p.integer("max_concurrent", maxConcurrent)
	return r
}

// DeclaresTemplate reports whether the file at path is a template.
func DeclaresTemplate(path string) bool {
	root := readSource(path, nil).parse()
	if root == nil || root.Kind != yaml.MappingNode {
		return filepath.Base(filepath.Dir(path)) == "templates"
	}
	for i := 0; i < len(root.Content); i += 2 {
		if slices.Contains([]string{"endpoints", "iframe", "parameters"}, root.Content[i].Value) {
			return true
		}
	}
	return false
}
