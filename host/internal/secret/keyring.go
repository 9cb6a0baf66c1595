package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackfield/jackfield/store"
)

const (
	keySize   = 32
	keyIDSize = 8
	keyMode   = 0o400
)

// ErrNoKey says that the key file does not exist.
var ErrNoKey = errors.New("no key file")

// Keyring seals what the store keeps of settings and tokens, and opens it. It is
// safe for concurrent use.
type Keyring struct {
	path    string
	created bool
	id      [keyIDSize]byte
	seal    []byte // AES-256
	sum     []byte // HMAC-SHA256
}

// KeyPath returns where the key file stands if host.yaml does not say: beside
// host.yaml, not in the data directory, so that a copy of the data alone is of no
// use to a thief.
func KeyPath(hostFile string) string {
	return filepath.Join(filepath.Dir(hostFile), "jackfield.key")
}

// OpenKeyring reads the key file, and makes it if there is none: 32 random bytes
// as base64, mode 0400, on disk before OpenKeyring returns. A key file inside the
// data directory, or one that others can read, is refused with a hint.
func OpenKeyring(path, dataDir string) (*Keyring, error) {
	if err := outside(path, dataDir); err != nil {
		return nil, err
	}
	k, err := ReadKeyring(path)
	if !errors.Is(err, ErrNoKey) {
		return k, err
	}
	made := true
	if err := makeKey(path); errors.Is(err, fs.ErrExist) {
		made = false // another process was faster
	} else if err != nil {
		return nil, fmt.Errorf("make key file %s: %w", path, err)
	}
	if k, err = ReadKeyring(path); err != nil {
		return nil, err
	}
	k.created = made
	return k, nil
}

// ReadKeyring reads the key file and makes none: the error is ErrNoKey if it is
// missing.
func ReadKeyring(path string) (*Keyring, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read key file %s: %w", path, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read key file %s: not a regular file", path)
	}
	if err := checkMode(path, info.Mode()); err != nil {
		return nil, err
	}
	if info.Size() > 4096 {
		return nil, notAKey(path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator says where the key is
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	master, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(master) != keySize {
		return nil, notAKey(path)
	}
	return newKeyring(path, master)
}

// newKeyring derives what the keyring uses, each for one purpose.
func newKeyring(path string, master []byte) (*Keyring, error) {
	k := &Keyring{path: path}
	id, err := hkdf.Key(sha256.New, master, nil, "jackfield key id v1", keyIDSize)
	if err != nil {
		return nil, fmt.Errorf("derive key id: %w", err)
	}
	copy(k.id[:], id)
	if k.seal, err = hkdf.Key(sha256.New, master, nil, "jackfield seal v1", keySize); err != nil {
		return nil, fmt.Errorf("derive sealing key: %w", err)
	}
	if k.sum, err = hkdf.Key(sha256.New, master, nil, "jackfield sum v1", keySize); err != nil {
		return nil, fmt.Errorf("derive sum key: %w", err)
	}
	return k, nil
}

// ID returns the name of the key: 16 hex digits that say nothing of it.
func (k *Keyring) ID() string { return hex.EncodeToString(k.id[:]) }

// Path returns where the key file stands.
func (k *Keyring) Path() string { return k.path }

// Created reports whether OpenKeyring made the key file: nothing that was sealed
// before can be opened with it.
func (k *Keyring) Created() bool { return k.created }

// makeKey writes a new key. The file appears whole or not at all, and an existing
// one is never replaced (fs.ErrExist).
func makeKey(path string) error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	draft := filepath.Join(dir, ".jackfield.key."+rand.Text())
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, keyMode) //nolint:gosec // beside the key file
	if err != nil {
		return err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(draft, path) // fails if path exists
	}
	err = errors.Join(err, os.Remove(draft))
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// outside refuses a key inside the data directory, also through links.
func outside(path, dataDir string) error {
	if dataDir == "" {
		return nil
	}
	key, err := resolve(path)
	if err != nil {
		return fmt.Errorf("find key file %s: %w", path, err)
	}
	data, err := resolve(dataDir)
	if err != nil {
		return fmt.Errorf("find data directory %s: %w", dataDir, err)
	}
	if key != data && !strings.HasPrefix(key, strings.TrimSuffix(data, string(filepath.Separator))+string(filepath.Separator)) {
		return nil
	}
	return store.Hint(
		fmt.Errorf("key file %s is inside the data directory %s", path, dataDir),
		"a copy of the data would hold its key; set key: to a path elsewhere, such as "+filepath.Join(filepath.Dir(data), "jackfield.key"),
	)
}

// resolve returns the absolute path without links; what does not exist yet stays
// as it is.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

func notAKey(path string) error {
	return store.Hint(
		fmt.Errorf("key file %s is not 32 bytes of base64", path),
		"restore it from your copy; without it the settings and tokens in the store cannot be opened",
	)
}
