package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionOf gives the version that the linker set, else that of the build:
// "v1.2.3" of an installed module, "devel-COMMIT" of a checkout.
func versionOf(linked string) string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	v := "devel"
	if commit := settings["vcs.revision"]; commit != "" {
		v += fmt.Sprintf("-%.12s", commit)
		if settings["vcs.modified"] == "true" {
			v += "-modified"
		}
	}
	return v
}

func (c *cli) version() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  none,
		RunE: func(*cobra.Command, []string) error {
			built := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{c.env.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if output == "json" {
				return c.printJSON(built)
			}
			_, err := fmt.Fprintf(c.env.Stdout, "tidemark %s (%s, %s)\n", built.Version, built.Go, built.Platform)
			return err
		},
	}
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (c *cli) printJSON(value any) error {
	encoder := json.NewEncoder(c.stdout())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
