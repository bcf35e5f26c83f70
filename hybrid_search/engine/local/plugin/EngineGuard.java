package hybridsearch.guard;

import org.opensearch.index.mapper.FieldMapper;
import org.opensearch.index.mapper.Mapper;
import org.opensearch.index.mapper.MappingLookup;
import org.opensearch.index.mapper.MetadataFieldMapper;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.mapper.TextSearchInfo;
import org.opensearch.index.mapper.ValueFetcher;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.knn.index.engine.KNNEngine;
import org.opensearch.knn.index.mapper.CompressionLevel;
import org.opensearch.knn.index.mapper.KNNMappingConfig;
import org.opensearch.knn.index.mapper.KNNVectorFieldType;
import org.opensearch.search.lookup.SearchLookup;

import java.util.Collections;

import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;

/**
 * A metadata field that holds nothing and is never written: OpenSearch asks every one of them whether a mapping is valid,
 * however the mapping came about (a new index, a template, a new field, an index that is opened or restored).
 *
 * <p>faiss is a native library that the published artifacts do not bring. Without this refusal the first flush of such
 * an index ends the server; and so does the first search of vectors that lucene keeps in one bit, for which the k-NN
 * plugin has native code too.
 */
final class EngineGuard extends MetadataFieldMapper {
    static final String NAME = "_engine_guard";
    static final String REFUSAL =
        "this node has no native library for the k-NN engine faiss, which is the one for vectors whose mapping names no "
            + "engine: give the field \"method\": {\"name\": \"hnsw\", \"engine\": \"lucene\"}";
    static final String TOO_SHORT =
        "this node has no native library for vectors of one bit a component: give the field at most "
            + "\"compression_level\": \"4x\"";
    static final TypeParser PARSER = new FixedTypeParser(context -> new EngineGuard());

    private EngineGuard() {
        super(new NoFieldType());
    }

    @Override
    protected void doValidate(MappingLookup mappings) {
        for (Mapper mapper : mappings) {
            if (mapper instanceof FieldMapper field && isNative(field.fieldType())) {
                throw new IllegalArgumentException("[" + field.name() + "]: " + REFUSAL);
            }
            if (mapper instanceof FieldMapper field && isOneBit(field.fieldType())) {
                throw new IllegalArgumentException("[" + field.name() + "]: " + TOO_SHORT);
            }
        }
    }

    private static boolean isNative(MappedFieldType type) {
        if (!(type instanceof KNNVectorFieldType vectors)) {
            return false;
        }
        KNNMappingConfig config = vectors.getKnnMappingConfig();
        boolean isLucene = config.getKnnMethodContext().map(method -> method.getKnnEngine() == KNNEngine.LUCENE).orElse(true);
        return !isLucene || config.getModelId().isPresent();
    }

    private static boolean isOneBit(MappedFieldType type) {
        return type instanceof KNNVectorFieldType vectors
            && vectors.getKnnMappingConfig().getCompressionLevel() == CompressionLevel.x32;
    }

    @Override
    protected void canDeriveSourceInternal() {}

    @Override
    protected String contentType() {
        return NAME;
    }

    private static final class NoFieldType extends MappedFieldType {
        NoFieldType() {
            super(NAME, false, false, false, TextSearchInfo.NONE, Collections.emptyMap());
        }

        @Override
        public String typeName() {
            return NAME;
        }

        @Override
        public ValueFetcher valueFetcher(QueryShardContext context, SearchLookup lookup, String format) {
            throw new UnsupportedOperationException("[" + NAME + "] holds nothing");
        }

        @Override
        public Query termQuery(Object value, QueryShardContext context) {
            return new MatchNoDocsQuery(NAME + " holds nothing");
        }

        @Override
        public Query existsQuery(QueryShardContext context) {
            return new MatchNoDocsQuery(NAME + " holds nothing");
        }
    }
}
