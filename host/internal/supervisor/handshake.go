package supervisor

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// coreProtocol is go-plugin's own version, the first field of a handshake.
const coreProtocol = "1"

// minCertificate is shorter than any certificate in base64.
const minCertificate = 50

// mostFields of a handshake: the last, which few send, is about what this host does not
// use.
const mostFields = 7

// handshake is the line by which a plugin says where it listens:
// core|version|network|address|protocol|certificate.
type handshake struct {
	network, address string
}

// looksLikeHandshake tells the handshake from whatever else a plugin prints.
func looksLikeHandshake(line string) bool {
	fields := strings.Split(line, "|")
	if len(fields) < 4 || !number(fields[0]) || !number(fields[1]) {
		return false
	}
	return strings.Trim(fields[2], "abcdefghijklmnopqrstuvwxyz0123456789") == "" && fields[2] != ""
}

// number also reports one below zero: who sends that means a version.
func number(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return s != "" && len(s) < 6 && strings.Trim(s, "0123456789") == ""
}

// parseHandshake checks a handshake before go-plugin dials what it says. The
// plugin has to speak one of the versions of the protocol and must listen on a socket in dir: it does not choose what the host
// connects to.
func parseHandshake(line, dir string, speaks []int) (handshake, error) {
	fields := strings.Split(strings.TrimSpace(line), "|")
	if len(fields) < 5 || len(fields) > mostFields {
		return handshake{}, fmt.Errorf("its handshake has %d fields, not 6", len(fields))
	}
	if fields[0] != coreProtocol {
		return handshake{}, fmt.Errorf("it speaks go-plugin's core protocol %.20q, this host %s (hint: rebuild it)", fields[0], coreProtocol)
	}
	if v, err := strconv.Atoi(fields[1]); err != nil || !slices.Contains(speaks, v) {
		return handshake{}, fmt.Errorf("it speaks protocol version %.20q, this host %s (hint: rebuild it with this host's SDK)", fields[1], strings.Trim(fmt.Sprint(speaks), "[]"))
	}
	if fields[4] != "grpc" {
		return handshake{}, fmt.Errorf("it speaks %.20q, not grpc", fields[4])
	}
	if len(fields) < 6 || len(fields[5]) < minCertificate {
		return handshake{}, fmt.Errorf("it sent no certificate (hint: its SDK must answer PLUGIN_CLIENT_CERT)")
	}
	h := handshake{network: fields[2], address: fields[3]}
	if err := h.check(dir); err != nil {
		return handshake{}, err
	}
	return h, checkCertificate(fields[5])
}

// checkCertificate reports what go-plugin could not read, in words that say what to do.
func checkCertificate(text string) error {
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("its certificate is no base64 (hint: the DER of one certificate in standard base64 without padding)")
	}
	if _, err := x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("its certificate cannot be read: %.200q (hint: the DER of one certificate in standard base64 without padding)", err.Error())
	}
	return nil
}

// check refuses every address but a socket in dir.
func (h handshake) check(dir string) error {
	if h.network != "unix" {
		return fmt.Errorf("it listens on %.20q %.100q; only a Unix socket is dialled", h.network, h.address)
	}
	if _, err := net.ResolveUnixAddr("unix", h.address); err != nil {
		return fmt.Errorf("it listens on %.100q, which is no address", h.address)
	}
	if filepath.Clean(h.address) != h.address || filepath.Dir(h.address) != dir || strings.ContainsRune(h.address, 0) {
		return fmt.Errorf("it listens on %.100q, outside of its directory (hint: the socket belongs into $PLUGIN_UNIX_SOCKET_DIR)", h.address)
	}
	info, err := os.Lstat(h.address)
	if err != nil {
		return fmt.Errorf("it listens on %.100q, which does not exist", h.address)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("it listens on %.100q, which is no socket", h.address)
	}
	return nil
}
