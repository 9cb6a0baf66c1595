package address

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: E01
func TestEachRangeHasItsClass(t *testing.T) {
	t.Parallel()
	for class, addrs := range map[Class][]string{
		Public:        {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:801::200e", "2001:4860:4860::8888", "2003::1", "2400:cb00::1", "::ffff:8.8.8.8"},
		Loopback:      {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"},
		Private:       {"10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1", "fec0::1", "::ffff:10.1.2.3"},
		Shared:        {"100.64.0.1", "100.127.255.255"},
		LinkLocal:     {"169.254.0.1", "169.254.255.255", "fe80::1", "febf::1", "fe80::1%eth0"},
		Metadata:      {"169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254"},
		Multicast:     {"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"},
		Broadcast:     {"255.255.255.255"},
		Unspecified:   {"0.0.0.0", "0.1.2.3", "::"},
		Documentation: {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"},
		Translated:    {"192.88.99.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2001::1", "2002:7f00:1::", "::127.0.0.1", "::8.8.8.8"},
		Reserved:      {"192.0.0.1", "198.18.0.1", "198.19.255.255", "240.0.0.1", "254.255.255.255", "100::1", "2001:2::1", "2001:10::1", "5f00::1", "4000::1", "::1:0:0:0", "1000::1"},
	} {
		for _, text := range addrs {
			require.Equal(t, class, Classify(netip.MustParseAddr(text)), text)
		}
	}
	require.Equal(t, Reserved, Classify(netip.Addr{}))
}

// rows: E01, E03
func TestAURLIsReadInOneWayOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"https://example.com", "https://example.com/", "https://example.com:8443/a/b?c=d%20e", "https://EXAMPLE.com/A", "HTTPS://example.com/",
		"https://xn--bcher-kva.example/", "https://1.1.1.1/", "https://[2606:4700::1111]/", "https://[2606:4700::1111]:8443/", "https://a_b.example.com/%2F",
	} {
		u, err := URL(raw)
		require.NoError(t, err, raw)
		require.NotZero(t, PortOf(u), raw)
	}
	for _, raw := range oddURLs() {
		_, err := URL(raw)
		require.Error(t, err, raw)
	}
	_, err := URL("http://example.com/")
	require.ErrorContains(t, err, "https is needed")
	u, err := URL("http://example.com/", HTTPS, HTTP)
	require.NoError(t, err)
	require.EqualValues(t, 80, PortOf(u))
	_, err = URL("https://user:s3cret@example.com/")
	require.NotContains(t, err.Error(), "s3cret")
	_, err = URL("https://user:s3cret@exa mple.com/")
	require.NotContains(t, err.Error(), "s3cret")
}

// oddURLs are URLs that are read differently by different readers, or that no
// setting has a use for.
func oddURLs() []string {
	return []string{
		"", "example.com", "//example.com/", "/etc/passwd", "https:", "https://", "https:///", "https:example.com", "https:/example.com",
		"http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "unix:///run/x.sock", "data:,x",
		"https://user@example.com/", "https://user:pw@example.com/", "https://@example.com/", "https://example.com@127.0.0.1/", "https://example.com#@127.0.0.1/",
		"https://example.com/#x", "https://example.com\\@127.0.0.1/", "https://example.com\\.evil.example/", "https://127.0.0.1#@example.com/", "https://127.0.0.1\\@example.com/",
		"https://127.1/", "https://127.0.1/", "https://2130706433/", "https://017700000001/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://0x7f.1/", "https://0X7F.1/",
		"https://127.0.0.01/", "https://127.0.0.0x1/", "https://256.1.1.1/", "https://1.2.3/", "https://1.2.3.4.5/", "https://0/", "https://0x/", "https://192.168.257/", "https://example.0x7f/", "https://example.1/",
		"https://127.0.0.1./", "https://localhost./", "https://example.com./", "https://.example.com/", "https://example..com/", "https://./",
		"https://１２７.0.0.1/", "https://127。0。0。1/", "https://①②⑦.⓪.⓪.①/", "https://ⓛocalhost/", "https://bücher.example/", "https://example.com\u00ad/",
		"https://[::1%25eth0]/", "https://[fe80::1%25lo]/", "https://[fe80::1%lo]/", "https://[::1/", "https://::1/", "https://[127.0.0.1]/", "https://[example.com]/", "https://[::ffff:127.0.0.1%25x]/", "https://[]/", "https://[:::1]/",
		"https://example.com:/", "https://example.com:0/", "https://example.com:65536/", "https://example.com:080/", "https://example.com:+80/", "https://example.com:80:80/", "https://example.com:http/", "https://example.com:-1/",
		"https://exam ple.com/", " https://example.com/", "https://example.com/ ", "https://example.com/a b", "https://example.com/\r\nHost: x", "https://example.com/%0", "https://example.com\r\n/", "https://example.com/\n", "https://example.com/\x00", "https://example.com/\t", "https://exa\tmple.com/", "https://example.com/\x7f",
		"https://%31%32%37.0.0.1/", "https://127.0.0.%31/", "https://example%2ecom/", "https://example.com%2f@127.0.0.1/", "https://-example.com/", "https://example-.com/", "https://exa*mple.com/", "https://*.example.com/", "https://exa$mple.com/", "https://a,b.example.com/",
		"https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/",
	}
}

func TestHostsHaveOneForm(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"Example.COM": "example.com", "127.0.0.1": "127.0.0.1", "::FFFF:127.0.0.1": "127.0.0.1", "::1": "::1", "2606:4700:0:0::1": "2606:4700::1", "_dmarc.example.com": "_dmarc.example.com", "localhost": "localhost",
	} {
		got, err := Host(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, got)
	}
	host, port, err := Split("[2606:4700::1]:443")
	require.NoError(t, err)
	require.Equal(t, "2606:4700::1", host)
	require.EqualValues(t, 443, port)
	for _, raw := range []string{"example.com", "example.com:", ":443", "[example.com]:443", "[127.0.0.1]:443", "::1:443", "a b:443", "0x7f.1:443", "example.com.:443", "example.com:0443", "example.com:99999", "[::1%lo]:443"} {
		_, _, err := Split(raw)
		require.Error(t, err, raw)
	}
}

func TestGrantsOpenWhatTheySayAndNoMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		grant, host string
		port        uint16
		ip          string
		want        bool
	}{
		{"10.1.0.0/16", "crm.internal", 443, "10.1.2.3", true},
		{"10.1.0.0/16", "crm.internal", 443, "10.2.2.3", false},
		{"10.1.0.0/16", "crm.internal", 443, "::ffff:10.1.2.3", true},
		{"10.1.2.3:8443", "crm.internal", 8443, "10.1.2.3", true},
		{"10.1.2.3:8443", "crm.internal", 443, "10.1.2.3", false},
		{"crm.internal", "crm.internal", 443, "10.9.9.9", true},
		{"crm.internal", "other.internal", 443, "10.9.9.9", false},
		{"CRM.internal:8443", "crm.internal", 8443, "10.9.9.9", true},
		{"crm.internal:8443", "crm.internal", 443, "10.9.9.9", false},
		{"crm.internal", "crm.internal", 443, "127.0.0.1", true},
		{"crm.internal", "crm.internal", 443, "169.254.169.254", false},
		{"crm.internal", "crm.internal", 443, "169.254.1.1", false},
		{"crm.internal", "crm.internal", 443, "fd00:ec2::254", false},
		{"crm.internal", "crm.internal", 443, "64:ff9b::a00:1", false},
		{"169.254.0.0/16", "x", 80, "169.254.169.254", false},
		{"169.254.169.254", "x", 80, "169.254.169.254", true},
		{"100.64.0.0/10", "x", 80, "100.100.100.200", false},
		{"[fd00::1]:8443", "x", 8443, "fd00::1", true},
		{"fd00::/8", "x", 8443, "fd00::1", true},
		{"127.0.0.1", "127.0.0.1", 80, "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.1", 80, "127.0.0.2", false},
	} {
		g, err := ParseGrant(c.grant)
		require.NoError(t, err, c.grant)
		ip := netip.MustParseAddr(c.ip)
		require.Equal(t, c.want, g.Opens(c.host, c.port, ip, Classify(ip)), "%+v", c)
		again, err := ParseGrant(g.String())
		require.NoError(t, err)
		require.Equal(t, g, again)
	}
	for _, bad := range []string{"", "*", "*.internal", "0.0.0.0/0", "::/0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8:443", "::ffff:10.0.0.0/104", "crm.internal.", "0x7f.1", "crm.internal:0", "https://crm.internal", "crm internal", "http/80"} {
		_, err := ParseGrant(bad)
		require.Error(t, err, bad)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Pattern{
		"slack.com":            {Host: "slack.com", Port: 443},
		"*.Slack.com":          {Host: "slack.com", Below: true, Port: 443},
		"files.slack.com:8443": {Host: "files.slack.com", Port: 8443},
		"*.slack.com:80":       {Host: "slack.com", Below: true, Port: 80},
		"10.1.2.3:80":          {Host: "10.1.2.3", Port: 80},
		"[fd00::1]:80":         {Host: "fd00::1", Port: 80},
	} {
		got, err := ParsePattern(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := ParsePattern(got.String())
		require.NoError(t, err, got.String())
		require.Equal(t, want, again)
	}
	for _, bad := range []string{"", "*", "*.", "*.com", "*.1.2.3.4", "a.*.com", "https://slack.com", "slack.com:0", "slack.com:x", "**.slack.com", "127.1"} {
		_, err := ParsePattern(bad)
		require.Error(t, err, bad)
	}
	for text, want := range map[string]Pattern{
		"https://crm.example/api/": {Host: "crm.example", Port: 443},
		"http://127.0.0.1:8080/x":  {Host: "127.0.0.1", Port: 8080},
		"http://crm.example":       {Host: "crm.example", Port: 80},
		"crm.example":              {Host: "crm.example", Port: 443},
		"crm.example:8443":         {Host: "crm.example", Port: 8443},
		"postgres://db.lan:5432/x": {Host: "db.lan", Port: 5432},
	} {
		got, err := OfSetting(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, bad := range []string{"", "*.example.com", "https://*.example.com/", "postgres://db.lan/x", "https://0x7f.1/", "mailto:a@b.example", "a b", "https://h:0/"} {
		_, err := OfSetting(bad)
		require.Error(t, err, bad)
	}
}
