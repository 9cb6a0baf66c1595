package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
)

// variantMark stands before what a test wrote behind the program, so that it has many
// versions of it without as many builds.
const variantMark = "\n--variant:"

// variant is what is different in another version of this plugin.
type variant struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Bad     string `json:"bad"` // strict, picky, unreachable, forgets, newer, newer-fails, elsewhere, wider, dies, fails, operates, desk
}

// readVariant reads what stands behind the program, or in the folder that it is to run.
func readVariant() variant {
	v := variant{Name: "load", Version: "1.0.0"}
	if folder := os.Getenv("JACKFIELD_PLUGIN_DIR"); folder != "" {
		if raw, err := os.ReadFile(filepath.Join(folder, "lib", "variant.json")); err == nil { //nolint:gosec // the host says where
			_ = json.Unmarshal(raw, &v) // likewise
		}
		return v
	}
	f, err := itself()
	if err != nil {
		return v
	}
	defer f.Close() //nolint:errcheck // read only
	const most = 256
	if _, err := f.Seek(-most, io.SeekEnd); err != nil {
		return v
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return v
	}
	if i := bytes.LastIndex(tail, []byte(variantMark)); i >= 0 {
		_ = json.Unmarshal(tail[i+len(variantMark):], &v) // what is wrong with it, the test sees
	}
	return v
}

// itself opens this program. Where it stands only the daemon's user may come to.
func itself() (*os.File, error) {
	if f, err := os.Open("/proc/self/exe"); err == nil {
		return f, nil
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// strict are settings with one that the others do not know.
type strict struct {
	settings
	Region string `json:"region"`
}
