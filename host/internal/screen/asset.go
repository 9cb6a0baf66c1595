package screen

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

//go:embed assets
var files embed.FS

// assets are the files that pages name, by the name that they are served under: it has
// the hash of what is in it, so that browsers keep them.
type assets map[string]asset

type asset struct {
	text, kind, name string
}

// readAssets returns the files.
func readAssets() (assets, error) {
	out := assets{}
	for name, kind := range map[string]string{"screen.css": "text/css; charset=utf-8", "screen.js": "text/javascript; charset=utf-8", "embed.js": "text/javascript; charset=utf-8"} {
		text, err := files.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		sum := sha256.Sum256(text)
		base, ext, _ := strings.Cut(name, ".")
		out[base+"-"+hex.EncodeToString(sum[:6])+"."+ext] = asset{string(text), kind, name}
	}
	return out, nil
}

// path returns where an asset is served.
func (a assets) path(name string) (string, error) {
	for served, f := range a {
		if f.name == name {
			return "/screen/assets/" + served, nil
		}
	}
	return "", fmt.Errorf("there is no asset %s", name)
}

// asset serves a file that pages name.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	f, ok := s.assets[r.PathValue("name")]
	if !ok {
		s.unknown(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write([]byte(f.text))
}

// embed serves the script that pages of a CRM load.
func (s *Server) embed(w http.ResponseWriter, r *http.Request) {
	for served, f := range s.assets {
		if f.name != "embed.js" {
			continue
		}
		h, tag := w.Header(), `"`+served+`"`
		h.Set("Cross-Origin-Resource-Policy", "cross-origin") // it has no secret
		h.Set("Cache-Control", "public, no-cache")
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", f.kind)
		_, _ = w.Write([]byte(f.text))
		return
	}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
