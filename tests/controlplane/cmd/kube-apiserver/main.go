// Command kube-apiserver is the Kubernetes API server, unchanged, built from its Go module.
package main

import (
	"os"
	_ "time/tzdata" // CronJobs name time zones, and the machine may have none.

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
