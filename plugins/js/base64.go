package main

import (
	"encoding/base64"
	"strings"

	"github.com/dop251/goja"
)

// btoa writes a text of bytes as base64, as browsers do: each character is one byte.
func (c *call) btoa(call goja.FunctionCall) goja.Value {
	text := call.Argument(0).String()
	raw := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			panic(c.vm.NewTypeError("btoa: the text has characters beyond one byte (hint: btoa(unescape(encodeURIComponent(text))))")) //nolint:forbidigo // how a native function throws
		}
		raw = append(raw, byte(r)) //nolint:gosec // it is below 256
	}
	return c.vm.ToValue(base64.StdEncoding.EncodeToString(raw))
}

// atob is the way back.
func (c *call) atob(call goja.FunctionCall) goja.Value {
	raw, err := base64.StdEncoding.DecodeString(call.Argument(0).String())
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(call.Argument(0).String())
	}
	if err != nil {
		panic(c.vm.NewTypeError("atob: the text is no base64")) //nolint:forbidigo // how a native function throws
	}
	var text strings.Builder
	for _, b := range raw {
		text.WriteRune(rune(b))
	}
	return c.vm.ToValue(text.String())
}
