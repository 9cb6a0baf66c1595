package endpoint

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/jackfield/jackfield/host/internal/nearest"
)

// The bounds of an expression: of its text, of its tree, and of what it may make.
const (
	maxExpression = 4 << 10
	maxNodes      = 500
	memoryBudget  = 100_000
)

// scope is what an expression sees, by name.
type scope map[string]any

// roots are the names that an expression of a request may begin with, and those of
// an answer.
func requestRoots() []string {
	return []string{"fields", "token", "body", "call", "context", "host", "callcenter", "item"}
}

func responseRoots() []string { return append(requestRoots(), "response", "status") }

// expression is a compiled expression. A dotted path, as most are, needs no program.
type expression struct {
	source  string
	path    []string
	program *vm.Program
	secret  bool // a secret goes into it
	token   bool // the token goes into it
}

// exprError is what is wrong with an expression, and where.
type exprError struct {
	message string
	help    string
	offset  int
}

func (e *exprError) Error() string { return e.message }

// eval returns what the expression gives; nil is nothing. A path that leads
// nowhere gives nothing.
func (e *expression) eval(s scope) (any, error) {
	if e.program == nil {
		return lookup(map[string]any(s), e.path), nil
	}
	machine := vm.VM{MemoryBudget: memoryBudget}
	v, err := machine.Run(e.program, map[string]any(s))
	if err != nil {
		return nil, &Error{Class: classConfig, Code: codeExpression, Message: fmt.Sprintf("{{ %s }}: %s", e.source, exprMessage(err))}
	}
	return v, nil
}

// exprMessage is the library's message without its picture of the source, which
// stands beside it already.
func exprMessage(err error) string {
	if e, ok := errors.AsType[*file.Error](err); ok {
		return e.Message
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// dialect compiles expressions of one template.
type dialect struct {
	roots   []string
	fields  []string        // that the template has
	secrets map[string]bool // those that are secrets
	region  string
	cache   *cache
}

// cache keeps programs, which are costly to make and say the same in many templates.
type cache struct {
	paths    *regexp.Regexp
	programs map[string]*vm.Program
	used     map[string]*uses         // by text
	options  map[string][]expr.Option // by region and roots
	readers  map[string]*reader       // by path
	known    map[string]*expression   // paths that are the same in every template
}

// at returns the expression of a path below a root.
func (c *cache) at(root, path string) *expression {
	source := root + "." + path
	e := c.known[source]
	if e == nil {
		e = &expression{source: source, path: append([]string{root}, pathOf(path)...)}
		c.known[source] = e
	}
	return e
}

// reader returns the reader of a path.
func (c *cache) reader(path string) *reader {
	r := c.readers[path]
	if r == nil {
		if len(c.readers) >= maxPrograms {
			clear(c.readers)
		}
		r = &reader{path: pathOf(path)}
		c.readers[path] = r
	}
	return r
}

func newCache() *cache {
	return &cache{
		paths:    regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+|\[[0-9]+\])*$`),
		programs: map[string]*vm.Program{}, used: map[string]*uses{}, options: map[string][]expr.Option{},
		readers: map[string]*reader{}, known: map[string]*expression{},
	}
}

// maxPrograms is where the cache is emptied: it holds what reloads left behind.
const maxPrograms = 20_000

// compile returns the expression, or what is wrong with it.
func (d *dialect) compile(source string) (*expression, *exprError) {
	source = strings.TrimSpace(source)
	switch {
	case source == "":
		return nil, &exprError{message: "the expression is empty"}
	case len(source) > maxExpression:
		return nil, &exprError{message: fmt.Sprintf("the expression has %d bytes; %d are allowed", len(source), maxExpression)}
	}
	e := &expression{source: source}
	if d.cache.paths.MatchString(source) && !slices.Contains([]string{"true", "false", "nil"}, source) {
		return d.path(e)
	}
	uses, err := d.cache.use(source)
	if err != nil {
		return nil, located(err)
	}
	if bad := d.judge(e, uses); bad != nil {
		return nil, bad
	}
	if e.program, err = d.program(source); err != nil {
		return nil, d.suggest(located(err))
	}
	return e, nil
}

// use returns what a text takes of fields and the token, whatever the template.
func (c *cache) use(source string) (*uses, error) {
	if u := c.used[source]; u != nil {
		return u, nil
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, err
	}
	u := &uses{}
	ast.Walk(&tree.Node, u)
	if len(c.used) >= maxPrograms {
		clear(c.used)
	}
	c.used[source] = u
	return u, nil
}

// path completes an expression that is a path.
func (d *dialect) path(e *expression) (*expression, *exprError) {
	e.path = pathOf(e.source)
	if root := e.path[0]; root == "token" || root == "fields" || !slices.Contains(d.roots, root) {
		return e, d.knows(e)
	}
	if same := d.cache.known[e.source]; same != nil {
		return same, nil
	}
	if len(d.cache.known) >= maxPrograms {
		clear(d.cache.known)
	}
	d.cache.known[e.source] = e
	return e, nil
}

// knows checks a path, and finds out whether it leads to a secret.
func (d *dialect) knows(e *expression) *exprError {
	root := e.path[0]
	if !slices.Contains(d.roots, root) {
		return d.suggest(&exprError{message: "unknown name " + root})
	}
	switch root {
	case "token":
		e.token, e.secret = true, true
	case "fields":
		if len(e.path) == 1 {
			e.secret = len(d.secrets) > 0
			return nil
		}
		return d.field(e, e.path[1], len("fields."))
	}
	return nil
}

// field checks the name of a field.
func (d *dialect) field(e *expression, name string, offset int) *exprError {
	if !slices.Contains(d.fields, name) {
		return &exprError{message: fmt.Sprintf("the template has no parameter %q", name), help: nearest.Advice(name, d.fields), offset: offset}
	}
	e.secret = e.secret || d.secrets[name]
	return nil
}

// judge finds out what goes into an expression.
func (d *dialect) judge(e *expression, u *uses) *exprError {
	if u.all {
		return &exprError{message: "unknown name $env"}
	}
	e.token = u.token
	e.secret = u.token || u.fields > len(u.members) && len(d.secrets) > 0
	for _, m := range u.members {
		if bad := d.field(e, m.name, m.offset); bad != nil {
			return bad
		}
	}
	return nil
}

// uses collects what an expression takes of fields and the token.
type uses struct {
	fields  int // how often fields is named
	members []member
	token   bool
	all     bool // everything at once
}

type member struct {
	name   string
	offset int
}

// Visit implements ast.Visitor.
func (u *uses) Visit(n *ast.Node) {
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		u.token = u.token || n.Value == "token"
		u.all = u.all || n.Value == "$env"
		if n.Value == "fields" {
			u.fields++
		}
	case *ast.MemberNode:
		base, ok := n.Node.(*ast.IdentifierNode)
		name, constant := n.Property.(*ast.StringNode)
		if ok && constant && base.Value == "fields" {
			u.members = append(u.members, member{name.Value, n.Property.Location().From})
		}
	}
}

// program compiles through the cache.
func (d *dialect) program(source string) (*vm.Program, error) {
	kind := d.region + "\x00" + strconv.Itoa(len(d.roots))
	key := kind + "\x00" + source
	if p := d.cache.programs[key]; p != nil {
		return p, nil
	}
	options := d.cache.options[kind]
	if options == nil {
		options = d.options()
		d.cache.options[kind] = options
	}
	p, err := expr.Compile(source, options...)
	if err != nil {
		return nil, err
	}
	if len(d.cache.programs) >= maxPrograms {
		clear(d.cache.programs)
	}
	d.cache.programs[key] = p
	return p, nil
}

func (d *dialect) options() []expr.Option {
	env := types.Map{}
	for _, r := range d.roots {
		switch r {
		case "host", "callcenter":
			env[r] = types.String
		case "fields", "call", "context":
			env[r] = types.TypeOf(map[string]any{})
		default:
			env[r] = types.Any
		}
	}
	out := []expr.Option{expr.Env(env), expr.MaxNodes(maxNodes)}
	for name, fn := range numberFunctions(d.region) {
		out = append(out, expr.Function(name, fn))
	}
	return out
}

// suggest adds the known name that was probably meant.
func (d *dialect) suggest(e *exprError) *exprError {
	if name, ok := strings.CutPrefix(e.message, "unknown name "); ok && e.help == "" {
		e.help = nearest.Advice(name, d.roots)
	}
	return e
}

// located returns an error of the library with its place.
func located(err error) *exprError {
	e := &exprError{message: exprMessage(err)}
	if at, ok := errors.AsType[*file.Error](err); ok {
		e.offset = at.From
	}
	return e
}

// pathOf takes a dotted path apart; a[0] is a.0.
func pathOf(s string) []string {
	if strings.Contains(s, "[") {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "[", "."), "]", "")
	}
	return strings.Split(s, ".")
}

// lookup follows a path through maps and lists; nil if it leads nowhere.
func lookup(v any, path []string) any {
	for _, name := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}
