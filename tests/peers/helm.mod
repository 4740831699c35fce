// What the Helm of the tests is made of: build_helm.sh builds its program as this module's dependency.
module hopspan.example/peers/helm

go 1.26.0

require helm.sh/helm/v3 v3.22.0
