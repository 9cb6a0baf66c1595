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

// screens reads what stands under screens.
func (o object) screens() (out Screens) {
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
		problem, help := address.CheckOrigin(value.Value)
		switch {
		case problem != "":
			o.src.failAt(CodeBadValue, n, help, "%s: %s", path, problem)
		case slices.Contains(out.Origins, value.Value):
			o.src.failAt(CodeDuplicateName, n, "", "%s: %s stands there twice", path, value.Value)
		case len(out.Origins) >= maxOrigins:
			o.src.failAt(CodeBadValue, n, "", "%s: a tenant names at most %d", path, maxOrigins)
		default:
			out.Origins = append(out.Origins, value.Value)
		}
	})
	return out
}
