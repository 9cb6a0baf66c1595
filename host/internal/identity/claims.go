package identity

import (
	"encoding/json"

	"github.com/jackfield/jackfield/store"
)

// name is an account, or the part of it that was split off: what makes sources one.
type name struct {
	store.Account
	split int64
}

func nameOf(c store.Claim) name { return name{c.Account, c.Split} }

func (n name) claim(source int64) store.Claim {
	return store.Claim{Source: source, Account: n.Account, Split: n.split}
}

// accounts returns what a member's record says that the remote system vouches for.
// Neither weak identities nor addresses are among them. What cannot be read as
// identities is none: one record does not hold up a tenant's members.
func accounts(data []byte) []store.Account {
	var member struct {
		Identities []struct {
			Platform string `json:"platform"`
			Username string `json:"username"`
		} `json:"identities"`
	}
	if err := json.Unmarshal(data, &member); err != nil {
		return nil
	}
	var out []store.Account
	for _, i := range member.Identities {
		if i.Platform != "" && i.Username != "" {
			out = append(out, store.Account{Platform: i.Platform, Username: i.Username})
		}
	}
	return out
}
