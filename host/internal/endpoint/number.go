package endpoint

import (
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// numberFunctions returns what an expression can make of a phone number. Each
// takes a number and, if it is not of the template's region, its region; what is no
// number gives nothing.
func numberFunctions(region string) map[string]func(...any) (any, error) {
	of := func(format string) func(...any) (any, error) {
		return func(args ...any) (any, error) {
			if len(args) < 1 || len(args) > 2 {
				return nil, fmt.Errorf("%s takes a number and a region", format)
			}
			in := region
			if len(args) == 2 && args[1] != nil {
				in = stringOf(args[1])
			}
			return formatNumber(format, args[0], in), nil
		}
	}
	out := map[string]func(...any) (any, error){}
	for _, format := range []string{"e164", "national", "digits", "extension"} {
		out[format] = of(format)
	}
	return out
}

// Number returns a phone number in another form, one of store.Formats; false for what
// has none.
func Number(format, number, region string) (string, bool) {
	v, ok := formatNumber(format, number, region).(string)
	return v, ok
}

// maxExtension is how many digits a number has that is one of the house alone.
const maxExtension = 5

// formatNumber returns a phone number in another form, or nil for what has none: an
// anonymous caller has no number.
func formatNumber(format string, v any, region string) any {
	if v == nil {
		return nil
	}
	s := strings.TrimSpace(stringOf(v))
	if format == "digits" {
		return orNil(onlyDigits(s))
	}
	if len(s) <= maxExtension && s != "" && s[0] != '0' && onlyDigits(s) == s { // a colleague's, and in no country a number
		if format == "extension" {
			return s
		}
		return nil
	}
	n, err := phonenumbers.Parse(s, strings.ToUpper(region))
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		if format == "extension" && len(s) <= 6 && onlyDigits(s) == s {
			return orNil(s) // a colleague's number
		}
		return nil
	}
	switch format {
	case "e164":
		return phonenumbers.Format(n, phonenumbers.E164)
	case "national":
		n.Extension = nil
		return phonenumbers.Format(n, phonenumbers.NATIONAL)
	default:
		return orNil(n.GetExtension())
	}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
