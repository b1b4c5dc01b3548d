package config

import (
	"fmt"
	"strings"

	"filippo.io/age"
)

// History says which sets of an app are kept to go back to (tidemark rollback).
type History struct {
	// Keep is how many sets of each app are kept, each as it was applied in full;
	// 0 keeps none. Default 3.
	Keep *int `json:"keep,omitempty"`
	// AgeRecipients are public keys (age1…) that the data of kept Secrets is
	// encrypted to. Default: that data is not kept, and a rollback leaves live
	// Secrets as they are.
	AgeRecipients []string `json:"ageRecipients,omitempty"`
}

// defaultKeep is small, since the head names every set.
const defaultKeep = 3

// Recipients gives the keys that data is encrypted to.
func (h History) Recipients() ([]age.Recipient, error) {
	if len(h.AgeRecipients) == 0 {
		return nil, nil
	}
	return age.ParseRecipients(strings.NewReader(strings.Join(h.AgeRecipients, "\n")))
}

func (c check) history() {
	if keep := c.config.History.Keep; keep != nil && *keep < 0 {
		c.add("history.keep", "is negative")
	}
	for i, recipient := range c.config.History.AgeRecipients {
		if _, err := (History{AgeRecipients: []string{recipient}}).Recipients(); err != nil || strings.ContainsAny(recipient, "\n#") || strings.TrimSpace(recipient) == "" {
			c.add(fmt.Sprintf("history.ageRecipients[%d]", i), "%q is not a public key of age: it begins with age1", recipient)
		}
	}
}
