// Command kube-controller-manager is Kubernetes' set of controllers, unchanged, built from its Go module.
package main

import (
	"os"
	_ "time/tzdata" // CronJobs name time zones, and the machine may have none.

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	os.Exit(cli.Run(app.NewControllerManagerCommand()))
}
