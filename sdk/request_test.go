package sdk_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

func TestFactsOfARequestHoldNoSecret(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://user:hunter2@api.example.com:8443/v1/a%2Fb?token=hunter2#hunter2")
	require.NoError(t, err)
	require.Equal(t, &sdk.RequestFacts{
		Method: "GET", URL: "https://api.example.com:8443/v1/a%2Fb", Status: 503, Duration: time.Second, Host: "api.example.com:8443",
	}, sdk.FactsOf("GET", u, 503, time.Second))
}
