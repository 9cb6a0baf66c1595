package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackfield/jackfield/sdk"
)

// manifests is the directory of kept manifests in the data directory.
const manifests = "manifests"

// SaveManifest keeps what the binary of this digest said of itself, in
// data/manifests, so that its settings can be checked without starting it.
func SaveManifest(data, digest string, m sdk.Manifest) error {
	if !validDigest(digest) {
		return fmt.Errorf("keep manifest: %q is no SHA-256 digest", digest)
	}
	m.Settings = nil                             // a value of the plugin's process
	body, err := json.MarshalIndent(m, "", "  ") //nolint:musttag // this package alone reads it
	if err != nil {
		return fmt.Errorf("encode manifest of %s: %w", m.Name, err)
	}
	dir := filepath.Join(data, manifests)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make manifest directory: %w", err)
	}
	if err := writeFile(filepath.Join(dir, digest+".json"), append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep manifest of %s: %w", m.Name, err)
	}
	return nil
}

// LoadManifest returns the manifest kept for a digest; the error is
// fs.ErrNotExist if there is none.
func LoadManifest(data, digest string) (sdk.Manifest, error) {
	if !validDigest(digest) {
		return sdk.Manifest{}, fmt.Errorf("kept manifest: %q is no SHA-256 digest: %w", digest, fs.ErrNotExist)
	}
	body, err := os.ReadFile(filepath.Join(data, manifests, digest+".json")) //nolint:gosec // a digest is a name
	if err != nil {
		return sdk.Manifest{}, fmt.Errorf("read kept manifest: %w", err)
	}
	var m sdk.Manifest
	if err := json.Unmarshal(body, &m); err != nil { //nolint:musttag // this package alone wrote it
		return sdk.Manifest{}, fmt.Errorf("decode kept manifest %s: %w", digest, err)
	}
	return m, nil
}

// LoadManifests returns every kept manifest by digest. One that cannot be read
// is left out and named in the error.
func LoadManifests(data string) (map[string]sdk.Manifest, error) {
	entries, err := os.ReadDir(filepath.Join(data, manifests))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]sdk.Manifest{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest directory: %w", err)
	}
	kept := make(map[string]sdk.Manifest, len(entries))
	var errs []error
	for _, e := range entries {
		digest, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !validDigest(digest) {
			continue
		}
		m, err := LoadManifest(data, digest)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		kept[digest] = m
	}
	return kept, errors.Join(errs...)
}

// ApprovedManifests returns the kept manifests of the plugins in lock, by the
// plugin's name. A plugin without one is absent.
func ApprovedManifests(data string, lock Lock) map[string]sdk.Manifest {
	approved := make(map[string]sdk.Manifest, len(lock.Plugins))
	for _, e := range lock.Plugins {
		if m, err := LoadManifest(data, e.SHA256); err == nil {
			approved[e.Name] = m
		}
	}
	return approved
}

// ValidDigest reports a SHA-256 digest in lower-case hex, as files are known by.
func ValidDigest(s string) bool { return validDigest(s) }

// validDigest reports a SHA-256 digest in lower-case hex: what may become the
// name of a file.
func validDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
