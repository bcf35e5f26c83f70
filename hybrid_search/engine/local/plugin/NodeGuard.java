package hybridsearch.guard;

import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.index.mapper.MetadataFieldMapper;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.MapperPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.rest.RestHandler;
import org.opensearch.rest.RestHeaderDefinition;

/** Keeps a local node from web pages, and from vector indices for which it has no native library. */
public final class NodeGuard extends Plugin implements ActionPlugin, MapperPlugin {
    @Override
    public UnaryOperator<RestHandler> getRestHandlerWrapper(ThreadContext context, Set<RestHeaderDefinition> headers) {
        return RequestGuard::new;
    }

    @Override
    public Map<String, MetadataFieldMapper.TypeParser> getMetadataMappers() {
        return Map.of(EngineGuard.NAME, EngineGuard.PARSER);
    }
}
