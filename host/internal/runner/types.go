package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// codeTypeChanged is the code of a record with a field of another type than before.
const codeTypeChanged = "type_changed"

// types watches over the types of the fields of an integration's records, if its
// configuration asks for that (F26). A nil one watches over nothing.
type types struct {
	policy store.TypePolicy
	learn  bool // the run is forced: what comes now is right

	mu    sync.Mutex   // guards known
	known store.Shapes // as the store has it
}

// loadTypes reads what is known, for those who want to be told of a change.
func (w *lane) loadTypes(ctx context.Context, run store.Run) error {
	if w.in.OnTypeChange != store.TypesQuarantine && w.in.OnTypeChange != store.TypesHalt {
		return nil
	}
	known, err := w.r.db.Shapes(ctx, w.in.ID)
	w.types = &types{policy: w.in.OnTypeChange, learn: run.Force, known: known}
	return err
}

// told are types that a call told: all of them, and those of its open segment, which
// are not with the store yet.
type told struct{ all, open store.Shapes }

// look compares a record with what is known and with what its call told, and adds to
// that. A change of type is a *sdk.Error.
func (t *types) look(r *sdk.Record, fresh *told) error {
	if t == nil || r.Delete {
		return nil
	}
	fields := fieldTypes(r.Data)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		was, now := t.typeOf(fresh.all, r.Kind, name), fields[name]
		if was == now {
			continue
		}
		if was != "" && !t.learn {
			sum := sha256.Sum256(r.Data)
			return &sdk.Error{
				Class: sdk.ClassRemote, Code: codeTypeChanged, AbortStream: true,
				Message: fmt.Sprintf("field %q of %s %s was a %s and is a %s (sha256 %s)", name, r.Kind, r.ID, was, now, hex.EncodeToString(sum[:])),
			}
		}
		t.note(fresh, r.Kind, name, now)
	}
	return nil
}

// typeOf returns the type of a field; empty if it is not known.
func (t *types) typeOf(fresh store.Shapes, kind, name string) string {
	if was, ok := fresh[kind][name]; ok {
		return was
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[kind][name]
}

// note keeps the type of a field until its segment is applied, within the caps.
func (t *types) note(fresh *told, kind, name, is string) {
	if t.full(fresh.all, kind, name) {
		return
	}
	one := store.Shapes{kind: {name: is}}
	mergeShapes(&fresh.all, one)
	mergeShapes(&fresh.open, one)
}

// full reports whether there is no room for the type of one more field.
func (t *types) full(all store.Shapes, kind, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	fields := maps.Clone(all[kind])
	if fields == nil {
		fields = map[string]string{}
	}
	maps.Copy(fields, t.known[kind])
	if _, again := fields[name]; again {
		return false
	}
	if len(fields) > 0 {
		return len(fields) >= store.MaxShapeFields
	}
	kinds := len(t.known)
	for other := range all {
		if _, counted := t.known[other]; !counted {
			kinds++
		}
	}
	return kinds >= store.MaxShapeKinds
}

// applied takes over what a segment told.
func (t *types) applied(fresh store.Shapes) {
	if t == nil || len(fresh) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	mergeShapes(&t.known, fresh)
}

// mergeShapes puts what is new into what was there.
func mergeShapes(into *store.Shapes, fresh store.Shapes) {
	if len(fresh) == 0 {
		return
	}
	if *into == nil {
		*into = store.Shapes{}
	}
	for kind, fields := range fresh {
		if (*into)[kind] == nil {
			(*into)[kind] = map[string]string{}
		}
		maps.Copy((*into)[kind], fields)
	}
}

// fieldTypes returns the types of the fields of data, but for those that are null:
// no value is of any type.
func fieldTypes(data []byte) map[string]string {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil // not JSON at all: the store says so
	}
	out := make(map[string]string, len(object))
	for name, value := range object {
		if is := typeOf(value); is != "" {
			out[name] = is
		}
	}
	return out
}

// typeOf returns the type of a JSON value; empty for null.
func typeOf(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	switch value[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return ""
	default:
		return "number"
	}
}
