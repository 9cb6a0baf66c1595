package config

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/jackfield/jackfield/host/internal/address"
)

// Screens say where the screens of a tenant's calls are shown.
type Screens struct {
	Origins []string // of the pages that may embed them, exactly; nobody may if empty
}

// maxOrigins bounds what a tenant names.
const maxOrigins = 64

// screens reads what stands under screens. An origin may have references, as host: may:
// a page of a machine for tests has another port each time.
func (l *loader) screens(o object) (out Screens) {
	p, ok := o.src.object(o.at("screens"), "screens", "origins")
	if !ok {
		return out
	}
	p.each("origins", func(n *yaml.Node, path string) {
		value := deref(n)
		if value.Kind != yaml.ScalarNode {
			o.src.failAt(CodeBadType, n, "", "%s: the origin of a page is needed, this is %s", path, kindOf(value))
			return
		}
		origin, _, ok := l.expand(o.src, value, path)
		if !ok {
			return
		}
		problem, help := address.CheckOrigin(origin)
		switch {
		case problem != "":
			o.src.failAt(CodeBadValue, n, help, "%s: %s", path, problem)
		case slices.Contains(out.Origins, origin):
			o.src.failAt(CodeDuplicateName, n, "", "%s: %s stands there twice", path, origin)
		case len(out.Origins) >= maxOrigins:
			o.src.failAt(CodeBadValue, n, "", "%s: a tenant names at most %d", path, maxOrigins)
		default:
			out.Origins = append(out.Origins, origin)
		}
	})
	return out
}
