package config

import (
	"bytes"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v4"
)

// readTemplates reads files, as many at once as there are processors: of a thousand
// it takes a second of one.
func (l *loader) readTemplates(paths []string, of *folder) []TemplateFile {
	out := make([]TemplateFile, len(paths))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(paths)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(paths)); i = next.Add(1) - 1 {
				out[i] = l.template(paths[i], of)
				out[i].src.rest()
			}
		})
	}
	wg.Wait()
	return out
}

// ReadTemplates remember the good files of templates, so that one which did not
// change is not checked again. It is safe for concurrent use; a nil *ReadTemplates
// remembers nothing.
type ReadTemplates struct {
	mu    sync.Mutex // guards files
	files map[string]TemplateFile
}

func (r *ReadTemplates) get(path string, sum []byte) (TemplateFile, bool) {
	if r == nil {
		return TemplateFile{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.files[path]
	return f, ok && bytes.Equal(f.Template.Sum, sum)
}

func (r *ReadTemplates) put(f TemplateFile) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files == nil {
		r.files = map[string]TemplateFile{}
	}
	f.src = nil
	f.name = &yaml.Node{Kind: yaml.ScalarNode, Line: f.name.Line, Column: f.name.Column, Value: f.Name}
	r.files[f.Path] = f
}

// only forgets the files that are not there any more.
func (r *ReadTemplates) only(paths map[string]bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.files, func(path string, _ TemplateFile) bool { return !paths[path] })
}
