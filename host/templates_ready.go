package main

import (
	"bytes"
	"sync"

	"github.com/jackfield/jackfield/host/internal/endpoint"
	"github.com/jackfield/jackfield/store"
)

// prepared is a template that is without fault, and what was made of it when it was
// first needed.
type prepared struct {
	spec store.Template // guarded by templates.mu
	once sync.Once      // makes made
	made *endpoint.Template
}

// prepare makes a template one that can be called. One that an earlier version stored
// and that this one refuses cannot. What is known already is kept as the files have it:
// one copy of it is enough.
func (t *templates) prepare(spec store.Template) {
	if !t.usable(spec) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stored, spec.Name)
	if known := t.ready[spec.Name]; known != nil && bytes.Equal(known.spec.Sum, spec.Sum) {
		known.spec = spec
		return
	}
	t.ready[spec.Name] = &prepared{spec: spec}
}

// usable reports whether a template is without fault, and warns of one that is not.
func (t *templates) usable(spec store.Template) bool {
	faults := t.compiler.Check(spec)
	if len(faults) > 0 {
		t.log.Warn("template cannot be used", "template", spec.Name, "problem", faults[0].Message)
	}
	return len(faults) == 0
}

// get returns a template that is ready to be called, or nil.
func (t *templates) get(name string) *endpoint.Template {
	p, spec := t.known(name)
	if p == nil {
		return nil
	}
	p.once.Do(func() { // others go on with theirs meanwhile
		made, faults := t.compiler.Compile(spec)
		if len(faults) > 0 { // it was checked
			t.log.Error("template cannot be used", "template", name, "problem", faults[0].Message)
			return
		}
		p.made = made
	})
	return p.made
}

// spec returns a template as its file had it when that was good the last time.
func (t *templates) spec(name string) (store.Template, bool) {
	p, spec := t.known(name)
	return spec, p != nil
}

// known returns a template and its declaration, nil if there is none without fault.
func (t *templates) known(name string) (*prepared, store.Template) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stored[name] != nil {
		t.recall(name)
	}
	p := t.ready[name]
	if p == nil {
		return nil, store.Template{}
	}
	return p, p.spec
}

// recall reads a template from the store whose file was not good since the daemon
// started. The caller holds mu, so that it cannot take the place of a newer one.
func (t *templates) recall(name string) {
	list, err := t.lastGood(name) // by its name, and few ever
	if err != nil {
		t.log.Error("template cannot be read", "template", name, "error", err)
		return
	}
	delete(t.stored, name)
	for _, s := range list {
		if t.usable(s.Template) {
			t.ready[name] = &prepared{spec: s.Template}
		}
	}
}
