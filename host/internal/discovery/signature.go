package discovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"aead.dev/minisign"
)

// maxSignature is the largest signature file that is read.
const maxSignature = 4 << 10

// signatureExt ends the name of a signature; the rest is the name of what is signed.
const signatureExt = ".minisig"

// Keys are the minisign keys of those whose plugins may run.
type Keys []minisign.PublicKey

// ParseKey reads a minisign public key: the base64 line of a key file, or all of it.
func ParseKey(text string) (minisign.PublicKey, error) {
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return key, fmt.Errorf("%.80q is no minisign public key (hint: the second line of minisign.pub)", text)
	}
	return key, nil
}

// ParseKeys reads several.
func ParseKeys(texts []string) (Keys, error) {
	var keys Keys
	for _, text := range texts {
		key, err := ParseKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// unsigned is what nobody vouches for.
func unsigned(reason, hint string) error {
	return &UnfitError{Verdict: VerdictUnsigned, Reason: reason, Hint: hint}
}

// verify reports whether one of the keys signed all that message reads.
func (k Keys) verify(message io.Reader, signature []byte) error {
	var sig minisign.Signature
	if err := sig.UnmarshalText(signature); err != nil {
		return unsigned("its signature is damaged", "copy it again")
	}
	if sig.Algorithm != minisign.HashEdDSA {
		return unsigned("its signature has the old form", "sign it with minisign -S -H")
	}
	signed := minisign.NewReader(message)
	if _, err := io.Copy(io.Discard, signed); err != nil {
		return unsigned("it cannot be read: "+cause(err), "")
	}
	for _, key := range k {
		if key.ID() != sig.KeyID {
			continue
		}
		if signed.Verify(key, signature) {
			return nil
		}
		return unsigned(fmt.Sprintf("its signature by the key %X is not of these bytes", sig.KeyID), "copy the file and its signature again; if that does not help, somebody changed it")
	}
	return unsigned(fmt.Sprintf("it is signed with the key %X, which host.yaml does not name", sig.KeyID), "name it in plugins.keys if you trust it")
}

// signedFile checks the signature that stands beside a file of the plugin directory.
// It vouches for the digest: what hashes to another while it is verified is refused.
func (s *Scanner) signedFile(root *os.Root, file, digest string, f io.ReadSeeker) error {
	signature, err := readSignature(root, file+signatureExt)
	if err != nil {
		return err
	}
	proof := digest + " " + string(signature)
	if s.proofs[proof] {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return unsigned("it cannot be read: "+cause(err), "")
	}
	h := sha256.New()
	if err := s.opts.Keys.verify(io.TeeReader(f, h), signature); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != digest {
		return &UnfitError{Verdict: VerdictIncomplete, Reason: errDigest.Error()}
	}
	s.proofs[proof] = true
	return nil
}

// signed checks the signature of the package's SHA256SUMS, which its files agreed with.
func (p parcel) signed(keys Keys) error {
	if p.sums == nil {
		return unsigned("it has no "+sumsFile+" that could be signed", "sha256sum its files into "+sumsFile)
	}
	signature, err := readSignature(p.root, signatureFile)
	if err != nil {
		return err
	}
	return keys.verify(bytes.NewReader(p.sums), signature)
}

func readSignature(root *os.Root, name string) ([]byte, error) {
	signature, err := readBounded(root, name, maxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unsigned("it has no signature", "minisign -S -m "+strings.TrimSuffix(name, signatureExt))
	}
	return signature, err
}
