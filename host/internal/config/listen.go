package config

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// TLS names the files of the HTTP listener's certificate, absolute; empty: there is
// none.
type TLS struct {
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
}

// tls reads tls: {cert: FILE, key: FILE}. What cannot serve is an error here, so that a
// daemon that runs keeps what it has.
func (l *loader) tls(o object) (out TLS) {
	if !o.has("tls") {
		return out
	}
	p, ok := o.src.object(o.at("tls"), "tls", "cert", "key")
	if !ok {
		return out
	}
	p.need("cert", "key")
	out = TLS{Cert: l.path(p, "cert", ""), Key: l.path(p, "key", "")}
	if out.Cert == "" || out.Key == "" {
		return TLS{}
	}
	if _, err := tls.LoadX509KeyPair(out.Cert, out.Key); err != nil {
		o.src.failAt(CodeBadValue, p.at("cert"), "both in PEM, the certificate with those that signed it behind it", "tls: the certificate and its key cannot be used: %v", err)
	}
	return out
}

// hosts reads a list of names.
func (o object) hosts(key string) (out []string) {
	if !o.has(key) {
		return nil
	}
	list := deref(o.at(key))
	if list.Kind != yaml.SequenceNode {
		o.src.failAt(CodeBadType, o.at(key), key+": [jackfield.example.com]", "%s: a list is needed, this is %s", key, kindOf(list))
		return nil
	}
	for _, n := range list.Content {
		name := strings.ToLower(deref(n).Value)
		if deref(n).Kind != yaml.ScalarNode || name == "" || strings.ContainsAny(name, "/:*@ ") && net.ParseIP(name) == nil {
			o.src.failAt(CodeBadValue, n, "such as jackfield.example.com: no scheme, no port, no *", "%s: %q is not the name of a host", key, short(name))
			continue
		}
		out = append(out, name)
	}
	return out
}

// listen reads the address of the HTTP listener; "off" is none. Beyond this machine it
// needs TLS, and without a name nobody would be answered there.
func (l *loader) listen(o object, otherwise string) string {
	v, ok := o.text("listen")
	if !ok {
		return otherwise
	}
	if v == "off" {
		return ""
	}
	host, port, err := net.SplitHostPort(v)
	number, numErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numErr != nil {
		o.src.failAt(CodeBadValue, o.at("listen"), "such as 127.0.0.1:7480", "listen: %q is not an address with a port", short(v))
		return otherwise
	}
	ip := net.ParseIP(host)
	switch {
	case host == "localhost" || ip != nil && ip.IsLoopback():
	case !o.has("tls"):
		o.src.failAt(CodeBadValue, o.at("listen"),
			"give it a certificate, tls: {cert: FILE, key: FILE}; or listen on 127.0.0.1:"+strconv.FormatUint(number, 10)+" and put a proxy with TLS before it",
			"listen: beyond this machine a token would cross the network in clear")
		return otherwise
	case (host == "" || ip != nil && ip.IsUnspecified()) && !o.has("hosts"):
		o.src.failAt(CodeMissingKey, o.at("listen"), "hosts: [jackfield.example.com]", `listen: on all addresses, the key "hosts" has to say by which names it is reached`)
	}
	return v
}
