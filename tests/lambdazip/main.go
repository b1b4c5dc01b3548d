// Command lambdazip packs a program as AWS Lambda wants it: one file that is
// called bootstrap and may be run. The same program gives the same bytes.
//
//	go run ./tests/lambdazip -o bin/tidemark-lambda.zip bin/lambda/bootstrap
package main

import (
	"archive/zip"
	"bytes"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	out := flag.String("o", "tidemark-lambda.zip", "`file` to write")
	flag.Parse()
	if err := pack(flag.Arg(0), *out); err != nil {
		fmt.Fprintln(os.Stderr, "lambdazip:", err)
		os.Exit(1)
	}
}

func pack(program, out string) error {
	data, err := os.ReadFile(program) //nolint:gosec // Whoever calls names it.
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	// The oldest date that a zip can tell.
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	file, err := w.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, archive.Bytes(), 0o644) //nolint:gosec // Anybody may read it.
}
