package main

import (
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// shake prints what ZOO_SHAKE has in base64 where a handshake should be, and then lives
// on, or ends if ZOO_LEAVES is set. MEGABYTE in it stands for that many letters, DIR for
// the process's directory, in which there are a socket s that leaves the file ZOO_MARK
// when somebody dials it, links to the socket ZOO_OUTSIDE and to its directory, a file,
// and a directory with a socket.
func shake() {
	dir, outside := os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), os.Getenv("ZOO_OUTSIDE")
	must(os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	must(os.Symlink(outside, filepath.Join(dir, "link")))
	must(os.Symlink(filepath.Dir(outside), filepath.Join(dir, "linkdir")))
	for _, name := range []string{"s", "sub/s"} {
		l, err := net.Listen("unix", filepath.Join(dir, name)) //nolint:noctx // for as long as the process lives
		must(err)
		go func() {
			for {
				if conn, err := l.Accept(); err == nil {
					must(os.WriteFile(os.Getenv("ZOO_MARK"), nil, 0o600))
					_ = conn.Close() // it is not served
				}
			}
		}()
	}
	text, err := base64.StdEncoding.DecodeString(os.Getenv("ZOO_SHAKE"))
	must(err)
	_, err = os.Stdout.WriteString(strings.NewReplacer("DIR", dir, "MEGABYTE", strings.Repeat("a", 1<<20)).Replace(string(text)))
	must(err)
	if os.Getenv("ZOO_LEAVES") != "" {
		os.Exit(0)
	}
	select {}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
