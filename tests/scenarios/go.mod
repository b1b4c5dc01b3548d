module tidemark.dev/tidemark/tests/scenarios

go 1.26.0

require (
	github.com/rogpeppe/go-internal v1.16.0
	sigs.k8s.io/yaml v1.6.0
	tidemark.dev/tidemark v0.0.0
)

require (
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/tools v0.26.0 // indirect
)

replace tidemark.dev/tidemark => ../..
