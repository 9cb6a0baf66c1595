package address_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/address"
)

// rows: X02
func TestOriginsAreExact(t *testing.T) {
	t.Parallel()
	for origin, good := range map[string]bool{
		"https://crm.example": true, "https://crm.example:8443": true, "http://localhost:3000": true, "http://127.0.0.1:1": true, "http://[::1]:1": true,
		"http://crm.example": false, "https://crm.example/": false, "https://*.example": false, "*": false, "https:": false, "null": false, "": false,
		"https://CRM.example": false, "https://crm.example:443": false, "http://localhost:80": false, "https://a@crm.example": false, "crm.example": false,
		"https://crm.example; x": false, "https://a.example https://b.example": false, "file:///": false, "data:": false, "https://crm.example'": false,
		"https://crm.example#x": false, "https://crm.example?x": false,
	} {
		problem, help := address.CheckOrigin(origin)
		require.Equal(t, good, problem == "", "%q", origin)
		require.Equal(t, good, help == "", "%q", origin)
	}
}
