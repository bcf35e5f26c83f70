package esnode;

import org.elasticsearch.Build;
import org.elasticsearch.bootstrap.BootstrapInfo;
import org.elasticsearch.cluster.ClusterName;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Starts one Elasticsearch node from the server jar alone.
 *
 * <pre>EsNode --data DIR --port N [--with-stdin] [-Esetting=value ...]</pre>
 *
 * With <code>--with-stdin</code> the node ends when its standard input does, so that it never outlives
 * the tests that started it, however they end.
 *
 * Everything the node writes (data, logs, configuration) is under DIR.
 */
public final class EsNode {

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out; // the server redirects System.out to its log
        Path data = null;
        String port = "9200";
        boolean withStdin = false;
        Map<String, String> extra = new HashMap<>();
        for (int i = 0; i < args.length; i++) {
            if (args[i].equals("--data")) {
                data = Path.of(args[++i]).toAbsolutePath();
            } else if (args[i].equals("--port")) {
                port = args[++i];
            } else if (args[i].equals("--with-stdin")) {
                withStdin = true;
            } else if (args[i].startsWith("-E") && args[i].indexOf('=') > 2) {
                int equals = args[i].indexOf('=');
                extra.put(args[i].substring(2, equals), args[i].substring(equals + 1));
            } else {
                throw new IllegalArgumentException("unknown argument " + args[i]);
            }
        }
        if (data == null) {
            throw new IllegalArgumentException("--data DIR is required");
        }

        tuneJdkHttpServer();
        writeLogConfiguration(data);

        LogConfigurator.registerErrorListener();
        BootstrapInfo.init();
        Environment environment = environment(data, port, extra);
        LogConfigurator.setClusterName(ClusterName.CLUSTER_NAME_SETTING.get(environment.settings()).value());
        LogConfigurator.setNodeName(Node.NODE_NAME_SETTING.get(environment.settings()));
        LogConfigurator.configure(environment, false);

        // The entitlement agent, the seccomp filter and the "not as root" check live in the
        // server's own main class: they guard a production host, and a test node goes without.
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir(), false),
            Set.of(),
            Map.of(),
            false
        );
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node), "esnode-close"));
        node.start();
        out.println("started " + Build.current().version() + " on http://127.0.0.1:" + port);
        out.flush();
        if (withStdin) {
            System.in.transferTo(OutputStream.nullOutputStream());
            System.exit(0);
        }
        Thread.currentThread().join(); // every thread of the node is a daemon
    }

    private static Environment environment(Path data, String port, Map<String, String> extra) {
        Map<String, String> properties = new HashMap<>();
        properties.put("path.home", System.getProperty("es.path.home")); // holds modules, and is only read
        properties.put("path.data", data.resolve("data").toString());
        properties.put("path.logs", data.resolve("logs").toString());
        properties.put("cluster.name", "esnode");
        properties.put("node.name", "esnode-1");
        properties.put("discovery.type", "single-node");
        properties.put("http.type", "jdk");
        properties.put("transport.type", "local");
        properties.put("network.host", "127.0.0.1");
        properties.put("http.port", port);
        // A nearly full disk must not turn a test index read-only.
        properties.put("cluster.routing.allocation.disk.threshold_enabled", "false");
        properties.putAll(extra);
        return InternalSettingsPreparer.prepareEnvironment(Settings.EMPTY, properties, data.resolve("config"), () -> "esnode-1");
    }

    private static void writeLogConfiguration(Path data) throws Exception {
        Path config = Files.createDirectories(data.resolve("config"));
        try (InputStream in = EsNode.class.getResourceAsStream("log4j2.properties")) {
            Files.copy(in, config.resolve("log4j2.properties"), StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static void tuneJdkHttpServer() {
        // Without this every small response waits for the client's delayed ACK.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        // Elasticsearch never closes an idle connection; the JDK default is 30 s, at most 200 of them.
        System.setProperty("sun.net.httpserver.idleInterval", "86400");
        System.setProperty("sun.net.httpserver.maxIdleConnections", "10000");
    }

    private static void close(Node node) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(10, TimeUnit.SECONDS);
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
