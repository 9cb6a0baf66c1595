package main

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

const (
	// global is the name under which a program leaves what the function exports.
	global = "__function"
	// maxShown is how many faults of the code are told at once.
	maxShown = 5
)

// bundle makes one script of a function and what it imports. Its map of sources is
// in it. The error names file, line and column. Types are taken away and not checked.
func (f folder) bundle(entry string) (string, error) {
	out := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: module(entry), ResolveDir: "/", Sourcefile: moduleName}, Bundle: true, Outfile: "/out.js", AbsWorkingDir: "/",
		Format: api.FormatIIFE, Platform: api.PlatformNeutral, Target: api.ES2017,
		Sourcemap: api.SourceMapInline, SourcesContent: api.SourcesContentExclude, LegalComments: api.LegalCommentsNone,
		TsconfigRaw: "{}", LogLevel: api.LogLevelSilent, Charset: api.CharsetUTF8,
		Plugins: []api.Plugin{{Name: "folder", Setup: f.serve}},
	})
	if len(out.Errors) > 0 {
		return "", faults(out.Errors)
	}
	if len(out.OutputFiles) != 1 {
		return "", fmt.Errorf("bundle %s: %d files came of it", entry, len(out.OutputFiles))
	}
	return string(out.OutputFiles[0].Contents), nil
}

// moduleName is what the bundler calls the text of module.
const moduleName = "<module>"

// module takes from the function what the host calls, each by its name: the bundler then
// needs no code for exports, which each call would have to run.
func module(entry string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "import * as f from %q;\nglobalThis.%s = {", "./"+entry, global)
	for _, name := range append(hookNames(), checkName) {
		fmt.Fprintf(&b, "%s: f.%s, ", name, name)
	}
	b.WriteString("};\n")
	return b.String()
}

// serve lets the bundler see the files of the folder, and nothing else of the machine.
func (f folder) serve(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		if a.Kind == api.ResolveEntryPoint {
			return api.OnResolveResult{Path: "/" + a.Path}, nil
		}
		from := strings.TrimPrefix(a.Importer, "/")
		if a.Importer == moduleName {
			from = ""
		}
		name, err := f.resolve(a.Path, from)
		if err != nil {
			return api.OnResolveResult{}, err
		}
		return api.OnResolveResult{Path: "/" + name}, nil
	})
	b.OnLoad(api.OnLoadOptions{Filter: ".*"}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
		text := string(f[strings.TrimPrefix(a.Path, "/")])
		loader := api.LoaderJS
		switch {
		case strings.HasSuffix(a.Path, ".d.ts"):
			text = "" // types alone
		case path.Ext(a.Path) == ".ts":
			loader = api.LoaderTS
		case path.Ext(a.Path) == ".json":
			loader = api.LoaderJSON
		}
		return api.OnLoadResult{Contents: &text, Loader: loader}, nil
	})
}

// faults puts what is wrong with code in words, each with its place.
func faults(list []api.Message) error {
	var errs []error
	for _, m := range list[:min(len(list), maxShown)] {
		text := m.Text
		if at := m.Location; at != nil {
			text = fmt.Sprintf("%s:%d:%d: %s", at.File, at.Line, at.Column+1, m.Text)
		}
		errs = append(errs, errors.New(text))
	}
	if more := len(list) - maxShown; more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}
