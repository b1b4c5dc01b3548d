module tidemark.dev/tidemark/tests/faults

go 1.26.0

require (
	sigs.k8s.io/yaml v1.6.0
	tidemark.dev/tidemark v0.0.0
)

require (
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace tidemark.dev/tidemark => ../..
