package explain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/explain"
)

// answers are the names of constants whose values people see as codes.
func answers(name string) bool {
	for _, prefix := range []string{"Code", "code", "Verdict"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			return true
		}
	}
	return false
}

// found returns the codes in a file: what is assigned to a field, a constant or a
// variable that is one, the kinds of errors of the API, and the states of a plugin.
func found(t *testing.T, path string) (codes []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	take := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			code, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			codes = append(codes, code)
		}
	}
	inAPI, inSupervisor := f.Name.Name == "api", f.Name.Name == "supervisor"
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
				take(n.Value)
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) && (answers(name.Name) || inAPI && strings.HasPrefix(name.Name, "Kind") || inSupervisor && strings.HasPrefix(name.Name, "State")) {
					take(n.Values[i])
				}
			}
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if i >= len(n.Rhs) {
					break
				}
				if v, ok := to.(*ast.Ident); ok && v.Name == "code" {
					take(n.Rhs[i])
				}
				if v, ok := to.(*ast.SelectorExpr); ok && v.Sel.Name == "Code" {
					take(n.Rhs[i])
				}
			}
		}
		return true
	})
	return codes
}

// produced returns every code that the program can answer with, and a file that has
// it.
func produced(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	skip := []string{"testdata", "storetest", "sdktest", "proto", "examples"}
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() {
			if path != root && (slices.Contains(skip, d.Name()) || strings.HasPrefix(d.Name(), ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			for _, code := range found(t, path) {
				out[code] = path
			}
		}
		return nil
	}))
	return out
}

// rows: C34
func TestEveryCodeIsExplainedAndEachExplanationHasItsCode(t *testing.T) {
	t.Parallel()
	all, err := explain.All()
	require.NoError(t, err)
	codes := produced(t)
	require.Greater(t, len(codes), 80, "the search finds them")
	explained := map[string]bool{}
	for _, e := range all {
		explained[e.Code] = true
		require.Contains(t, codes, e.Code, "explained, and in no program (hint: remove it from codes.yaml)")
	}
	var missing []string
	for code, file := range codes {
		if !explained[code] {
			missing = append(missing, code+" in "+file)
		}
	}
	require.Empty(t, missing, "not explained (hint: add it to host/internal/explain/codes.yaml)")
}

func TestEntriesAreWhole(t *testing.T) {
	t.Parallel()
	all, err := explain.All()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, e := range all {
		require.NotEmpty(t, e.Means, e.Code)
		require.NotEmpty(t, e.Where, e.Code)
		require.True(t, strings.HasSuffix(e.Do, "."), "%s: %s", e.Code, e.Do)
		require.True(t, strings.HasSuffix(e.Means, "."), "%s: %s", e.Code, e.Means)
		require.True(t, e.Run == "" || strings.HasPrefix(e.Run, "jackfield "), "%s: %s", e.Code, e.Run)
		require.False(t, seen[e.Code+" "+e.Where], e.Code)
		seen[e.Code+" "+e.Where] = true
	}
	found, err := explain.Lookup("page_loop")
	require.NoError(t, err)
	require.Len(t, found, 1)
	found, err = explain.Lookup("channel_not_found")
	require.NoError(t, err)
	require.Empty(t, found)
}
