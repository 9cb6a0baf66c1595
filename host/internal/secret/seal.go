package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	sealVersion = 1
	nonceSize   = 12
	headerSize  = 1 + keyIDSize
	tagSize     = 16
)

// The errors of Open.
var (
	// ErrOtherKey says that the value was sealed with another key.
	ErrOtherKey = errors.New("sealed with another key")
	// ErrNotSealed says that the value is not what was sealed for this place: it
	// was changed, cut, or moved here from another row.
	ErrNotSealed = errors.New("not what was sealed for this place")
)

// Seal encrypts plain with AES-256-GCM under a random nonce. The answer names its
// version and key, and opens only with the same aad: the parts that say where the
// value belongs, such as tenant, integration and field.
func (k *Keyring) Seal(plain []byte, aad ...string) ([]byte, error) {
	gcm, err := k.gcm()
	if err != nil {
		return nil, err
	}
	out := make([]byte, headerSize+nonceSize, headerSize+nonceSize+len(plain)+tagSize)
	out[0] = sealVersion
	copy(out[1:], k.id[:])
	nonce := out[headerSize:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return gcm.Seal(out, nonce, plain, frame(out[:headerSize], aad)), nil
}

// Open decrypts what Seal returned for the same aad. The error is ErrOtherKey or
// ErrNotSealed.
func (k *Keyring) Open(sealed []byte, aad ...string) ([]byte, error) {
	if len(sealed) < headerSize+nonceSize+tagSize || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open sealed value: %w", ErrNotSealed)
	}
	if id := sealed[1:headerSize]; !bytes.Equal(id, k.id[:]) {
		return nil, fmt.Errorf("open sealed value: %w: it needs key %s, %s is key %s",
			ErrOtherKey, hex.EncodeToString(id), k.path, k.ID())
	}
	gcm, err := k.gcm()
	if err != nil {
		return nil, err
	}
	body := sealed[headerSize:]
	plain, err := gcm.Open(nil, body[:nonceSize], body[nonceSize:], frame(sealed[:headerSize], aad))
	if err != nil {
		return nil, fmt.Errorf("open sealed value: %w", ErrNotSealed)
	}
	return plain, nil
}

// Sum returns a keyed hash of plain at the place that aad names: equal values at
// one place have equal sums, and a sum tells nothing without the key.
func (k *Keyring) Sum(plain []byte, aad ...string) []byte {
	mac := hmac.New(sha256.New, k.sum)
	mac.Write(frame(nil, aad))
	mac.Write(plain)
	return mac.Sum(nil)
}

func (k *Keyring) gcm() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.seal)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return gcm, nil
}

// frame joins parts so that no two lists of parts give the same bytes: the count,
// then each part with its length before it.
func frame(header []byte, parts []string) []byte {
	out := append([]byte(nil), header...)
	out = binary.BigEndian.AppendUint64(out, uint64(len(parts)))
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
