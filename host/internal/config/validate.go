package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/jackfield/jackfield/host/internal/nearest"
)

// validate reports what the plugin's schema refuses. All texts are ours: those of
// the library repeat the value, which may be a secret.
func (r *settings) validate(c *checker, value any) {
	err := c.schema.Validate(value)
	if err == nil {
		return
	}
	r.ok = false
	e, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		r.fail(CodeBadSetting, r.spots[""].key, "", "plugin %q refuses the settings", r.plugin)
		return
	}
	before := len(r.s.problems)
	r.report(c, e)
	if len(r.s.problems) == before {
		r.fail(CodeBadSetting, r.spots[""].key, "", "plugin %q refuses the settings", r.plugin)
	}
}

// report turns one error into problems, each at the place of its setting.
func (r *settings) report(c *checker, e *jsonschema.ValidationError) {
	at := e.InstanceLocation
	here := r.spots[spot(at)]
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			r.unknown(c, at, name)
		}
	case *kind.Required:
		for _, name := range k.Missing {
			r.fail(CodeMissingSetting, here.key, "", "plugin %q needs the setting %q", r.plugin, setting(at, name))
		}
	case *kind.AnyOf, *kind.OneOf:
		r.noneOf(c, e)
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, sub := range e.Causes {
			r.report(c, sub)
		}
	case *kind.FalseSchema:
		if len(at) > 0 {
			r.unknown(c, at[:len(at)-1], at[len(at)-1])
			return
		}
		r.fail(CodeBadSetting, here.key, "", "plugin %q takes no settings", r.plugin)
	case *kind.Type:
		r.fail(CodeBadType, here.value, typeHelp(k), "setting %q of plugin %q: %s is needed, this is %s", setting(at), r.plugin, types(k.Want), types([]string{k.Got}))
	default:
		text, help := complaint(k)
		r.fail(CodeBadSetting, here.value, help, "setting %q of plugin %q: %s", setting(at), r.plugin, text)
	}
}

func (r *settings) unknown(c *checker, at []string, name string) {
	p := r.spots[spot(below(at, name))]
	if p.key == nil {
		p = r.spots[spot(at)]
	}
	r.s.hide(p.value)
	r.fail(CodeUnknownSetting, p.key, nearest.Advice(name, c.shape.at(at).names()), "plugin %q has no setting %q", r.plugin, setting(at, name))
}

// noneOf reports a value that fits none of several forms, with what the nearest
// form lacks.
func (r *settings) noneOf(c *checker, e *jsonschema.ValidationError) {
	var lacks []string
	for _, sub := range e.Causes {
		for len(sub.Causes) == 1 {
			sub = sub.Causes[0]
		}
		if k, ok := sub.ErrorKind.(*kind.Required); ok {
			lacks = append(lacks, k.Missing...)
		}
	}
	here := r.spots[spot(e.InstanceLocation)]
	if len(lacks) > 0 && len(lacks) == len(e.Causes) {
		r.fail(CodeMissingSetting, here.key, "", "plugin %q needs one of the settings %s", r.plugin, strings.Join(lacks, ", "))
		return
	}
	if len(e.Causes) == 1 {
		r.report(c, e.Causes[0])
		return
	}
	r.fail(CodeBadSetting, here.value, "", "setting %q of plugin %q fits none, or more than one, of the forms that the plugin knows", setting(e.InstanceLocation), r.plugin)
}

// setting names a place in the settings.
func setting(at []string, more ...string) string {
	if s := dotted(below(at, more...), ""); s != "" {
		return s
	}
	return "settings"
}

// complaint says what a value must be, never what it is.
func complaint(k jsonschema.ErrorKind) (text, help string) {
	switch k := k.(type) {
	case *kind.Enum:
		words := make([]string, 0, len(k.Want))
		for _, w := range k.Want {
			words = append(words, short(fmt.Sprint(w)))
		}
		return "the value is not allowed", "one of " + strings.Join(words, ", ")
	case *kind.Const:
		return "the value is not allowed", "only " + short(fmt.Sprint(k.Want)) + " is"
	case *kind.Format:
		return "not a valid " + k.Want, ""
	case *kind.Pattern:
		return "the value has not the form that is needed", "the form is " + short(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("at least %d characters are needed", k.Want), ""
	case *kind.MaxLength:
		return fmt.Sprintf("at most %d characters are allowed", k.Want), ""
	case *kind.Minimum:
		return "the least is " + k.Want.RatString(), ""
	case *kind.Maximum:
		return "the most is " + k.Want.RatString(), ""
	case *kind.ExclusiveMinimum:
		return "more than " + k.Want.RatString() + " is needed", ""
	case *kind.ExclusiveMaximum:
		return "less than " + k.Want.RatString() + " is needed", ""
	case *kind.MultipleOf:
		return "a multiple of " + k.Want.RatString() + " is needed", ""
	case *kind.MinItems:
		return fmt.Sprintf("at least %d entries are needed", k.Want), ""
	case *kind.MaxItems:
		return fmt.Sprintf("at most %d entries are allowed", k.Want), ""
	case *kind.MinProperties:
		return fmt.Sprintf("at least %d keys are needed", k.Want), ""
	case *kind.MaxProperties:
		return fmt.Sprintf("at most %d keys are allowed", k.Want), ""
	case *kind.UniqueItems:
		return "an entry stands in the list twice", ""
	case *kind.PropertyNames:
		return "a key has not the form that is needed", ""
	case *kind.DependentRequired:
		return "with it the plugin needs " + strings.Join(k.Missing, ", "), ""
	default:
		return "the plugin's schema refuses the value (" + strings.Join(k.KeywordPath(), "/") + ")", ""
	}
}

func typeHelp(k *kind.Type) string {
	if k.Got == "string" {
		return "a value in quotes and one from a reference is a string"
	}
	return ""
}

func types(names []string) string {
	words := make([]string, 0, len(names))
	for _, n := range names {
		switch n {
		case "string":
			n = "a string"
		case "number":
			n = "a number"
		case "integer":
			n = "a whole number"
		case "boolean":
			n = "true or false"
		case "array":
			n = "a list"
		case "object":
			n = "a mapping"
		case "null":
			n = "nothing"
		}
		words = append(words, n)
	}
	return strings.Join(words, " or ")
}
