import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node on loopback: `Node FOLDER BASE_PORT`; it listens on the port behind the base port, and ends with its stdin. */
public final class Node {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("network.host", "127.0.0.1");
            settings.putList("node.roles", "cluster_manager", "data", "ingest");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        // A cluster of its own name: others on this machine do not join it.
        runner.build(OpenSearchRunner.newConfigs().basePath(arguments[0]).numOfNode(1)
                .baseHttpPort(Integer.parseInt(arguments[1])).clusterName("tests-" + Integer.toHexString(arguments[0].hashCode())));
        while (System.in.read() >= 0) {
        }
        runner.close();
    }
}
