package hybridsearch.guard;

import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

import org.opensearch.OpenSearchStatusException;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.rest.BytesRestResponse;
import org.opensearch.rest.RestChannel;
import org.opensearch.rest.RestHandler;
import org.opensearch.rest.RestRequest;
import org.opensearch.transport.client.node.NodeClient;

/**
 * Refuses what a browser sends for a web page: a request to another name than this machine's own (a page's name that was
 * pointed at 127.0.0.1 after the page was loaded), or one that the browser says comes from another site.
 */
final class RequestGuard extends RestHandler.Wrapper {
    private static final Pattern HOST = Pattern.compile("(?i)(localhost\\.?|127\\.0\\.0\\.1|\\[::1\\])(:\\d*)?");
    private static final Set<String> OTHER_SITES = Set.of("cross-site", "same-site");
    private static final Pattern TRAINING = Pattern.compile("/_plugins/_knn/models/(.*/)?_train/?");

    RequestGuard(RestHandler guarded) {
        super(guarded);
    }

    @Override
    public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) throws Exception {
        String refusal = refusal(request);
        if (refusal == null) {
            super.handleRequest(request, channel, client);
            return;
        }
        request.params().keySet().forEach(request::param); // or an unread parameter would be the error
        var error = new OpenSearchStatusException(refusal, RestStatus.FORBIDDEN);
        channel.sendResponse(new BytesRestResponse(channel, error));
    }

    private static String refusal(RestRequest request) {
        if (!values(request, "Host").stream().allMatch(host -> HOST.matcher(host).matches())) {
            return "this node answers requests to localhost, 127.0.0.1 and [::1] only, whatever other name leads here";
        }
        boolean isLink = request.method() == RestRequest.Method.GET && values(request, "Sec-Fetch-Mode").contains("navigate");
        if (!isLink && values(request, "Sec-Fetch-Site").stream().anyMatch(OTHER_SITES::contains)) {
            return "this node answers no web page of another site";
        }
        return TRAINING.matcher(request.path()).matches() ? EngineGuard.REFUSAL : null;
    }

    private static List<String> values(RestRequest request, String header) {
        List<String> found = request.getAllHeaderValues(header);
        return found == null ? List.of() : found;
    }
}
