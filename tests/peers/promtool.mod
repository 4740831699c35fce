// What the promtool of the tests is made of: build_promtool.sh builds it as this module's dependency.
module hopspan.example/peers/promtool

go 1.25.0

require github.com/prometheus/prometheus v0.316.0
